/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one OpenCL kernel on given memory and compares with what must come out.
 *
 *     cc reproduce.c -lOpenCL -o reproduce && ./reproduce [DEVICE]
 *
 * DEVICE: a number, counted over all platforms and their devices (default: the one in case.h). Beside this file:
 * kernel.cl, before.bin (the memory of all arguments), expected.bin (the same afterwards) and case.h. Exit status: 0
 * right, 1 wrong bits, 2 OpenCL failed. */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An argument: a part of the memory, or a number of four bytes. */
struct argument {
    int memory;
    size_t offset, bytes;
    unsigned int value;
};

/* A part of the memory that must come out right. */
struct part {
    const char *name;
    size_t offset, bytes, element; /* bytes of an element */
};
#include "case.h"

static void check(cl_int code, const char *call) {
    if (code != CL_SUCCESS) {
        printf("%s failed with %d\n", call, code);
        exit(2);
    }
}

static char *read_file(const char *name, size_t *bytes) {
    FILE *f = fopen(name, "rb");
    char *text = calloc(1, 64u << 20);
    if (!f || !text) {
        printf("%s cannot be read: run this in its folder\n", name);
        exit(2);
    }
    *bytes = fread(text, 1, (64u << 20) - 1, f);
    fclose(f);
    return text;
}

static cl_device_id find_device(unsigned long index, cl_platform_id *platform) {
    cl_platform_id platforms[32];
    cl_uint n = 0;
    check(clGetPlatformIDs(32, platforms, &n), "clGetPlatformIDs");
    for (cl_uint i = 0; i < n && i < 32; i++) {
        cl_device_id devices[64];
        cl_uint m = 0;
        *platform = platforms[i];
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 64, devices, &m) != CL_SUCCESS)
            continue;
        if (index < m)
            return devices[index];
        index -= m;
    }
    printf("there is no such device\n");
    exit(2);
}

/* The first difference of each part. */
static int compare(const char *found, const char *expected) {
    int wrong = 0;
    for (unsigned a = 0; a < sizeof parts / sizeof parts[0]; a++) {
        const struct part *p = &parts[a];
        size_t differ = 0, first = 0;
        for (size_t i = 0; i + p->element <= p->bytes; i += p->element)
            if (memcmp(found + p->offset + i, expected + p->offset + i, p->element) != 0 && !differ++)
                first = i;
        if (differ) {
            unsigned int f = 0, e = 0;
            memcpy(&f, found + p->offset + first, p->element);
            memcpy(&e, expected + p->offset + first, p->element);
            printf("WRONG: %s[%zu] is %0*x, expected %0*x; %zu of %zu elements differ\n", p->name, first / p->element,
                   (int)p->element * 2, f, (int)p->element * 2, e, differ, p->bytes / p->element);
            wrong = 1;
        }
    }
    if (!wrong && memcmp(found, expected, EXPECTED_BYTES) != 0) {
        printf("WRONG: memory outside of the arguments was written\n");
        wrong = 1;
    }
    return wrong;
}

int main(int argc, char **argv) {
    size_t length, bytes, same, global[3] = GLOBAL, local[3] = LOCAL;
    char *source = read_file("kernel.cl", &length), *memory = read_file("before.bin", &bytes);
    char *expected = read_file("expected.bin", &same), name[256] = "", driver[256] = "";
    cl_platform_id platform;
    cl_device_id device = find_device(argc > 1 ? strtoul(argv[1], NULL, 10) : DEVICE, &platform);
    cl_int code;
    if (bytes != BEFORE_BYTES || same != EXPECTED_BYTES) {
        printf("before.bin or expected.bin is damaged\n");
        return 2;
    }
    clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL);
    clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof driver, driver, NULL);
    printf("%s, driver %s: %s %s\n", name, driver, KERNEL, OPTIONS);
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
    cl_context context = clCreateContext(properties, 1, &device, NULL, NULL, &code);
    check(code, "clCreateContext");
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &code);
    check(code, "clCreateCommandQueue");
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, &length, &code);
    check(code, "clCreateProgramWithSource");
    code = clBuildProgram(program, 1, &device, OPTIONS, NULL, NULL);
    if (code != CL_SUCCESS) {
        char *log = calloc(1, 1 << 20);
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, (1 << 20) - 1, log, NULL);
        printf("%s\n", log ? log : "");
        check(code, "clBuildProgram");
    }
    cl_kernel kernel = clCreateKernel(program, KERNEL, &code);
    check(code, "clCreateKernel");
    cl_mem all = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, BEFORE_BYTES, memory, &code);
    check(code, "clCreateBuffer");
    for (unsigned i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        const struct argument *g = &arguments[i];
        cl_buffer_region part = {g->offset, g->bytes};
        if (!g->memory) {
            check(clSetKernelArg(kernel, i, 4, &g->value), "clSetKernelArg");
            continue;
        }
        cl_mem sub = clCreateSubBuffer(all, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
        check(code, "clCreateSubBuffer");
        check(clSetKernelArg(kernel, i, sizeof sub, &sub), "clSetKernelArg");
    }
    check(clEnqueueNDRangeKernel(queue, kernel, DIMS, NULL, global, local, 0, NULL, NULL), "clEnqueueNDRangeKernel");
    check(clEnqueueReadBuffer(queue, all, CL_TRUE, 0, BEFORE_BYTES, memory, 0, NULL, NULL), "clEnqueueReadBuffer");
    if (compare(memory, expected))
        return 1;
    printf("OK: all %d bytes are as expected\n", EXPECTED_BYTES);
    return 0;
}
