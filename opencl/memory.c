/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "opencl/cl_host.h"

/* A buffer of `bytes`; over `host` where the device shares the host's memory. */
static enum moxie_error create(struct mx_cl *cl, cl_mem_flags flags, void *host, size_t bytes, cl_mem *out,
                               struct moxie_failure *failure) {
    cl_int code;
    if (bytes > cl->facts.max_alloc_bytes)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, MX_NO_OFFSET,
                       "a buffer of %zu bytes: device %s allows %llu at most", bytes, cl->facts.name,
                       (unsigned long long)cl->facts.max_alloc_bytes);
    *out = cl->facts.host_unified ? clCreateBuffer(cl->context, flags | CL_MEM_USE_HOST_PTR, bytes, host, &code)
                                  : clCreateBuffer(cl->context, flags, bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clCreateBuffer", flags & CL_MEM_READ_ONLY ? "weights" : "region", failure);
    return mx_cl_own(cl, MX_OBJECT_MEMORY, *out, failure);
}

enum moxie_error mx_cl_window(struct mx_cl *cl, const void *host, size_t bytes, cl_mem *out,
                              struct moxie_failure *failure) {
    /* OpenCL has no const; the buffer is read-only, and so is usually the mapping below it */
    enum moxie_error e = create(cl, CL_MEM_READ_ONLY, (void *)(uintptr_t)host, bytes, out, failure);
    if (e || cl->facts.host_unified)
        return e;
    e = mx_cl_write(cl, *out, 0, host, bytes, failure);
    return e ? e : mx_cl_finish(cl, failure);
}

enum moxie_error mx_cl_region(struct mx_cl *cl, void *host, size_t bytes, cl_mem *out, struct moxie_failure *failure) {
    if (cl->facts.host_unified)
        memset(host, 0, bytes);
    enum moxie_error e = create(cl, CL_MEM_READ_WRITE, host, bytes, out, failure);
    if (e || cl->facts.host_unified)
        return e;
    const cl_uint zero = 0;
    cl_int code = clEnqueueFillBuffer(cl->queue, *out, &zero, sizeof zero, 0, bytes, 0, NULL, NULL);
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clEnqueueFillBuffer", NULL, failure);
}

enum moxie_error mx_cl_sub(struct mx_cl *cl, cl_mem region, uint64_t offset, uint64_t bytes, cl_mem *out,
                           struct moxie_failure *failure) {
    const cl_buffer_region part = {.origin = (size_t)offset, .size = (size_t)bytes};
    cl_int code;
    *out = clCreateSubBuffer(region, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clCreateSubBuffer", NULL, failure);
    return mx_cl_own(cl, MX_OBJECT_MEMORY, *out, failure);
}

enum moxie_error mx_cl_write(struct mx_cl *cl, cl_mem to, uint64_t offset, const void *from, size_t bytes,
                             struct moxie_failure *failure) {
    cl_int code = clEnqueueWriteBuffer(cl->queue, to, CL_FALSE, (size_t)offset, bytes, from, 0, NULL, NULL);
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clEnqueueWriteBuffer", NULL, failure);
}

enum moxie_error mx_cl_read(struct mx_cl *cl, cl_mem from, uint64_t offset, void *to, size_t bytes,
                            struct moxie_failure *failure) {
    cl_int code = clEnqueueReadBuffer(cl->queue, from, CL_TRUE, (size_t)offset, bytes, to, 0, NULL, NULL);
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clEnqueueReadBuffer", NULL, failure);
}

enum moxie_error mx_cl_finish(struct mx_cl *cl, struct moxie_failure *failure) {
    cl_int code = clFinish(cl->queue);
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clFinish", NULL, failure);
}
