/* SPDX-License-Identifier: Apache-2.0
 *
 * For LD_PRELOAD in front of Oclgrind with --uninitialized, which loses what the host wrote (21.10 to 26.03.1,
 * src/plugins/Uninitialized.cpp): what a CL_MEM_USE_HOST_PTR buffer holds counts as never written, and a write to a
 * part of a buffer (hostMemoryStore) replaces all that is known of the buffer by a record as long as that part, so that
 * even what kernels then write there is taken for uninitialised. Mapping is told right: here a buffer over the host's
 * memory is mapped once for writing, which marks all of it, and writes go through a mapping for reading and writing,
 * which forgets nothing. Moxie fills with zeros what it makes buffers of; what is left to find is the private and local
 * memory of kernels. tests/test_oclgrind.sh holds both against Oclgrind. */
#define _GNU_SOURCE /* RTLD_NEXT */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static void must(cl_int code) {
    if (code != CL_SUCCESS)
        abort();
}

static void *map(cl_command_queue queue, cl_mem buffer, cl_map_flags how, size_t offset, size_t bytes) {
    cl_int code;
    void *at = clEnqueueMapBuffer(queue, buffer, CL_TRUE, how, offset, bytes, 0, NULL, NULL, &code);
    must(code);
    return at;
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *errcode_ret) {
    cl_mem buffer = NEXT(clCreateBuffer)(context, flags, size, host, errcode_ret);
    if (buffer && flags & CL_MEM_USE_HOST_PTR) {
        cl_device_id device;
        cl_int queued;
        must(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(cl_device_id), &device, NULL));
        cl_command_queue queue = clCreateCommandQueue(context, device, 0, &queued);
        must(queued);
        must(clEnqueueUnmapMemObject(queue, buffer, map(queue, buffer, CL_MAP_WRITE, 0, size), 0, NULL, NULL));
        must(clFinish(queue));
        must(clReleaseCommandQueue(queue));
    }
    return buffer;
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                            const void *ptr, cl_uint n, const cl_event *event_wait_list, cl_event *event) {
    (void)blocking; /* always */
    if (n)
        must(clWaitForEvents(n, event_wait_list));
    void *at = map(queue, buffer, CL_MAP_READ | CL_MAP_WRITE, offset, size);
    memcpy(at, ptr, size);
    return clEnqueueUnmapMemObject(queue, buffer, at, 0, NULL, event);
}
