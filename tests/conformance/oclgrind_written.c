/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel's branch on a value, for Oclgrind with --uninitialized. By the argument the value is "host": in the host's
 * memory before that became a buffer; "part": written to the buffer before a write to another part of it; "private":
 * never written by the kernel. Only the last is one to complain about; see oclgrind_memory.c. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <string.h>

static const char *text = "__kernel void look(__global const uint *x, __global uint *y) {\n"
                          "    uint own[2];\n"
                          "    own[0] = x[16];\n"
                          "    if (own[x[0]] == 7)\n"
                          "        y[0] = 1;\n"
                          "}\n";

int main(int argc, char **argv) {
    static _Alignas(4096) cl_uint x[1024];
    const size_t one = 1;
    cl_platform_id platform;
    cl_device_id device;
    cl_uint seven = 7;
    if (argc != 2 || clGetPlatformIDs(1, &platform, NULL) ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        return 1;
    x[0] = strcmp(argv[1], "private") == 0;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_mem mem = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, sizeof x, x, NULL);
    cl_mem y = clCreateBuffer(context, CL_MEM_READ_WRITE, sizeof(cl_uint), NULL, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL))
        return 1;
    cl_kernel look = clCreateKernel(program, "look", NULL);
    if (strcmp(argv[1], "part") == 0)
        for (size_t i = 0; i < 2; i++)
            clEnqueueWriteBuffer(queue, mem, CL_TRUE, i * 256, i ? sizeof seven : sizeof x, i ? &seven : x, 0, NULL,
                                 NULL);
    return clSetKernelArg(look, 0, sizeof(cl_mem), &mem) || clSetKernelArg(look, 1, sizeof(cl_mem), &y) ||
           clEnqueueNDRangeKernel(queue, look, 1, NULL, &one, NULL, 0, NULL, NULL) || clFinish(queue);
}
