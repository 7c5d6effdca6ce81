/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/cl_host.h"

#include <string.h>

#include "opencl/device.h"

/* ---- Failures ---- */

static enum moxie_error fail_call(enum moxie_error error, cl_int code, const char *call, const char *about,
                                  struct moxie_failure *failure) {
    if (!about)
        return mx_fail_cl(failure, error, code, "%s failed with %d", call, code);
    return mx_fail_cl(failure, error, code, "%s failed with %d (%s)", call, code, about);
}

enum moxie_error mx_cl_failed(cl_int code, const char *call, const char *about, struct moxie_failure *failure) {
    switch (code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
        return fail_call(MOXIE_ERROR_DEVICE_MEMORY, code, call, about, failure);
    case CL_DEVICE_NOT_AVAILABLE:
        return fail_call(MOXIE_ERROR_DEVICE_LOST, code, call, about, failure);
    default:
        return fail_call(MOXIE_ERROR_OPENCL, code, call, about, failure);
    }
}

enum { NVIDIA_FAULT = -9999 }; /* what NVIDIA's driver answers after a kernel touched memory that is not its own */

enum moxie_error mx_cl_queue_failed(cl_int code, const char *call, const char *about, struct moxie_failure *failure) {
    switch (code) {
    case CL_OUT_OF_RESOURCES: /* after a fault drivers answer this from every call on the queue */
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
    case CL_INVALID_CONTEXT:
    case CL_INVALID_COMMAND_QUEUE:
    case NVIDIA_FAULT:
        return fail_call(MOXIE_ERROR_DEVICE_LOST, code, call, about, failure);
    default:
        return mx_cl_failed(code, call, about, failure);
    }
}

enum moxie_error mx_progress(struct mx_cl *cl, const char *what, uint64_t done, uint64_t total,
                             struct moxie_failure *failure) {
    if (cl->callbacks->progress && cl->callbacks->progress(cl->callbacks->user, what, done, total) != 0)
        return mx_fail(failure, MOXIE_ERROR_CANCELLED, MX_NO_OFFSET, "cancelled during %s, %llu of %llu done", what,
                       (unsigned long long)done, (unsigned long long)total);
    return MOXIE_OK;
}

void mx_cl_log(const struct mx_cl *cl, const char *text) {
    if (cl->callbacks->log)
        cl->callbacks->log(cl->callbacks->user, text);
}

/* ---- Objects ---- */

static void release(const struct mx_object *o) {
    switch ((enum mx_object_kind)o->kind) {
    case MX_OBJECT_CONTEXT:
        clReleaseContext(o->object);
        break;
    case MX_OBJECT_QUEUE:
        clReleaseCommandQueue(o->object);
        break;
    case MX_OBJECT_MEMORY:
        clReleaseMemObject(o->object);
        break;
    case MX_OBJECT_PROGRAM:
        clReleaseProgram(o->object);
        break;
    case MX_OBJECT_KERNEL:
        clReleaseKernel(o->object);
        break;
    }
}

enum moxie_error mx_cl_own(struct mx_cl *cl, enum mx_object_kind kind, void *object, struct moxie_failure *failure) {
    struct mx_object o = {.kind = kind, .object = object};
    if (cl->n_objects == cl->max_objects) {
        release(&o);
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "more OpenCL objects than the %u planned",
                       cl->max_objects);
    }
    cl->objects[cl->n_objects++] = o;
    return MOXIE_OK;
}

void mx_cl_release_to(struct mx_cl *cl, uint32_t mark) {
    while (cl->n_objects > mark)
        release(&cl->objects[--cl->n_objects]);
}

/* ---- Open and close ---- */

static enum moxie_error create(struct mx_cl *cl, struct moxie_failure *failure) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)cl->platform, 0};
    cl_int code;
    cl->context = clCreateContext(properties, 1, &cl->device, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clCreateContext", cl->facts.name, failure);
    enum moxie_error e = mx_cl_own(cl, MX_OBJECT_CONTEXT, cl->context, failure);
    if (e)
        return e;
    cl->queue =
        clCreateCommandQueue(cl->context, cl->device, cl->callbacks->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clCreateCommandQueue", cl->facts.name, failure);
    return mx_cl_own(cl, MX_OBJECT_QUEUE, cl->queue, failure);
}

enum moxie_error mx_cl_open(struct mx_cl *cl, uint32_t index, struct mx_object *objects, uint32_t max_objects,
                            void *scratch, size_t scratch_bytes, const struct mx_callbacks *callbacks,
                            const struct moxie_tunables *asked, struct moxie_failure *failure) {
    static const struct mx_callbacks none = {.user = NULL};
    memset(cl, 0, sizeof *cl);
    if (max_objects < MX_CL_OWN_OBJECTS || scratch_bytes < MX_CL_SCRATCH_MIN)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET,
                       "%u OpenCL objects and %zu bytes of scratch, at least %u and %u are needed", max_objects,
                       scratch_bytes, MX_CL_OWN_OBJECTS, MX_CL_SCRATCH_MIN);
    cl->objects = objects;
    cl->max_objects = max_objects;
    cl->scratch = scratch;
    cl->scratch_bytes = scratch_bytes;
    cl->callbacks = callbacks ? callbacks : &none;
    enum moxie_error e = mx_device_find(index, &cl->platform, &cl->device, failure);
    if (!e)
        e = mx_device_read(cl->platform, cl->device, &cl->facts, failure);
    if (!e)
        e = mx_device_accept(&cl->facts, failure);
    if (!e)
        e = moxie_device_tunables(&cl->facts, asked, &cl->tunables, NULL, failure);
    if (e)
        return e;
    cl->facts.dot = mx_device_dot(&cl->facts, cl->tunables.without);
    e = create(cl, failure);
    if (e)
        mx_cl_close(cl);
    return e;
}

void mx_cl_close(struct mx_cl *cl) {
    if (cl->n_objects > 1) /* there is a queue: the memory it works on must stay until it is done */
        clFinish(cl->queue);
    mx_cl_release_to(cl, 0);
    memset(cl, 0, sizeof *cl);
}
