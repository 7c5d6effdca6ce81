/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* RTLD_NEXT: also finds a driver that LD_PRELOAD put in front of the loader */
#include "tests/fake_opencl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_opencl fake;
static long fail_at;
static cl_int fail_code;
static int fail_stays;
static const char *fail_name;
static struct {
    cl_device_info property;
    cl_ulong value;
} lie[4];
static int lies;

void fake_reset(void) {
    memset(&fake, 0, sizeof fake);
    fake_fail(0, 0, 0);
    fake_fail_name(NULL, 0);
    lies = 0;
}

int fake_begin(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

int fake_end(void **state) {
    (void)state;
    return fake_live() == 0 ? 0 : -1;
}

void fake_device_info(cl_device_info property, cl_ulong value) {
    if (lies == sizeof lie / sizeof *lie)
        abort();
    lie[lies].property = property;
    lie[lies++].value = value;
}

void fake_fail(long n, cl_int code, int stay) {
    fail_at = n ? fake.calls + n : 0;
    fail_code = code;
    fail_stays = stay;
}

void fake_fail_name(const char *name, cl_int code) {
    fail_name = name;
    fail_code = code;
}

/* Counts a call; what it has to answer when it is to fail, else CL_SUCCESS. */
static cl_int tick(const char *name, cl_int natural) {
    fake.calls++;
    int hit = fail_at && (fake.calls == fail_at || (fail_stays && fake.calls > fail_at));
    if (!hit && !(fail_name && strcmp(fail_name, name) == 0))
        return CL_SUCCESS;
    cl_int code = fail_code ? fail_code : natural;
    if (!fake.failed) {
        fake.failed = name;
        fake.code = code;
    }
    return code;
}

static void *real(const char *name) {
    static void *loader;
    void *f = dlsym(RTLD_NEXT, name);
    if (!f && !loader) /* the linker left it out, because everything used of it is here */
        loader = dlopen("libOpenCL.so.1", RTLD_NOW);
    f = f || !loader ? f : dlsym(loader, name);
    if (!f) {
        fprintf(stderr, "fake_opencl: the loader has no %s\n", name);
        abort();
    }
    return f;
}
#define REAL(name) ((__typeof__(&(name)))real(#name))

/* The macros take lists of parameters, and the short names are ours: */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */

/* A call that answers a code. */
#define CALL(name, natural, parameters, arguments)                                                                     \
    cl_int name parameters {                                                                                           \
        cl_int code = tick(#name, natural);                                                                            \
        if (code != CL_SUCCESS)                                                                                        \
            return code;                                                                                               \
        fake.inside++;                                                                                                 \
        code = REAL(name) arguments;                                                                                   \
        fake.inside--;                                                                                                 \
        return code;                                                                                                   \
    }

/* The same on a queue, with an event that it may hand out. */
#define ENQUEUE(name, natural, parameters, arguments)                                                                  \
    cl_int name parameters {                                                                                           \
        cl_int code = tick(#name, natural);                                                                            \
        fake.inside++;                                                                                                 \
        if (code == CL_SUCCESS)                                                                                        \
            code = REAL(name) arguments;                                                                               \
        fake.inside--;                                                                                                 \
        fake.enqueues++;                                                                                               \
        fake.creates += code == CL_SUCCESS && event;                                                                   \
        return code;                                                                                                   \
    }

/* A call that creates an object and answers the code through its last parameter. */
#define CREATE(type, name, natural, parameters, arguments)                                                             \
    type name parameters {                                                                                             \
        cl_int code = tick(#name, natural);                                                                            \
        if (code != CL_SUCCESS) {                                                                                      \
            if (errcode_ret)                                                                                           \
                *errcode_ret = code;                                                                                   \
            return NULL;                                                                                               \
        }                                                                                                              \
        fake.inside++;                                                                                                 \
        type object = REAL(name) arguments;                                                                            \
        fake.inside--;                                                                                                 \
        fake.creates += object != NULL;                                                                                \
        return object;                                                                                                 \
    }

#define RELEASE(name, type)                                                                                            \
    cl_int name(type object) {                                                                                         \
        fake.releases++;                                                                                               \
        fake.inside++;                                                                                                 \
        cl_int code = REAL(name)(object);                                                                              \
        fake.inside--;                                                                                                 \
        return code;                                                                                                   \
    }

/* The loader's own code for "no platform" (cl_khr_icd). */
#define NO_PLATFORM (-1001)

CALL(clGetPlatformIDs, NO_PLATFORM, (cl_uint n, cl_platform_id *list, cl_uint *count), (n, list, count))
CALL(clGetPlatformInfo, CL_OUT_OF_HOST_MEMORY,
     (cl_platform_id platform, cl_platform_info name, size_t size, void *value, size_t *size_ret),
     (platform, name, size, value, size_ret))
CALL(clGetDeviceIDs, CL_OUT_OF_HOST_MEMORY,
     (cl_platform_id platform, cl_device_type type, cl_uint n, cl_device_id *list, cl_uint *count),
     (platform, type, n, list, count))
cl_int clGetDeviceInfo(cl_device_id device, cl_device_info name, size_t size, void *value, size_t *size_ret) {
    cl_int code = tick("clGetDeviceInfo", CL_OUT_OF_HOST_MEMORY);
    if (code != CL_SUCCESS)
        return code;
    for (int i = 0; i < lies; i++) {
        if (lie[i].property == name && value && size <= sizeof lie[i].value) {
            memcpy(value, &lie[i].value, size); /* little-endian: its low bytes */
            return CL_SUCCESS;
        }
    }
    fake.inside++;
    code = REAL(clGetDeviceInfo)(device, name, size, value, size_ret);
    fake.inside--;
    return code;
}

CREATE(cl_context, clCreateContext, CL_DEVICE_NOT_AVAILABLE,
       (const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
        void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *errcode_ret),
       (properties, n, devices, notify, user, errcode_ret))
CREATE(cl_command_queue, clCreateCommandQueue, CL_OUT_OF_HOST_MEMORY,
       (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *errcode_ret),
       (context, device, properties, errcode_ret))
CREATE(cl_mem, clCreateBuffer, CL_MEM_OBJECT_ALLOCATION_FAILURE,
       (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *errcode_ret),
       (context, flags, size, host, errcode_ret))
CREATE(cl_mem, clCreateSubBuffer, CL_MISALIGNED_SUB_BUFFER_OFFSET,
       (cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *errcode_ret),
       (buffer, flags, type, info, errcode_ret))
RELEASE(clReleaseEvent, cl_event)
RELEASE(clReleaseContext, cl_context)
RELEASE(clReleaseCommandQueue, cl_command_queue)
RELEASE(clReleaseMemObject, cl_mem)
RELEASE(clReleaseProgram, cl_program)
RELEASE(clReleaseKernel, cl_kernel)

CREATE(cl_program, clCreateProgramWithSource, CL_OUT_OF_HOST_MEMORY,
       (cl_context context, cl_uint n, const char **strings, const size_t *lengths, cl_int *errcode_ret),
       (context, n, strings, lengths, errcode_ret))
CREATE(cl_program, clCreateProgramWithBinary, CL_INVALID_BINARY,
       (cl_context context, cl_uint n, const cl_device_id *devices, const size_t *lengths,
        const unsigned char **binaries, cl_int *status, cl_int *errcode_ret),
       (context, n, devices, lengths, binaries, status, errcode_ret))
CALL(clBuildProgram, CL_BUILD_PROGRAM_FAILURE,
     (cl_program program, cl_uint n, const cl_device_id *devices, const char *options,
      void(CL_CALLBACK *notify)(cl_program, void *), void *user),
     (program, n, devices, options, notify, user))
CALL(clGetProgramInfo, CL_OUT_OF_RESOURCES,
     (cl_program program, cl_program_info name, size_t size, void *value, size_t *size_ret),
     (program, name, size, value, size_ret))
CALL(clGetProgramBuildInfo, CL_OUT_OF_HOST_MEMORY,
     (cl_program program, cl_device_id device, cl_program_build_info name, size_t size, void *value, size_t *size_ret),
     (program, device, name, size, value, size_ret))

CREATE(cl_kernel, clCreateKernel, CL_INVALID_KERNEL_NAME, (cl_program program, const char *name, cl_int *errcode_ret),
       (program, name, errcode_ret))
CALL(clSetKernelArg, CL_INVALID_ARG_SIZE, (cl_kernel kernel, cl_uint index, size_t size, const void *value),
     (kernel, index, size, value))
CALL(clGetKernelInfo, CL_OUT_OF_HOST_MEMORY,
     (cl_kernel kernel, cl_kernel_info name, size_t size, void *value, size_t *size_ret),
     (kernel, name, size, value, size_ret))

ENQUEUE(clEnqueueNDRangeKernel, CL_OUT_OF_RESOURCES,
        (cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset, const size_t *global,
         const size_t *local, cl_uint n, const cl_event *wait, cl_event *event),
        (queue, kernel, dims, offset, global, local, n, wait, event))
ENQUEUE(clEnqueueWriteBuffer, CL_OUT_OF_RESOURCES,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, const void *from,
         cl_uint n, const cl_event *wait, cl_event *event),
        (queue, buffer, blocking, offset, size, from, n, wait, event))
ENQUEUE(clEnqueueReadBuffer, CL_OUT_OF_RESOURCES,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, void *to, cl_uint n,
         const cl_event *wait, cl_event *event),
        (queue, buffer, blocking, offset, size, to, n, wait, event))
ENQUEUE(clEnqueueFillBuffer, CL_OUT_OF_RESOURCES,
        (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t pattern_size, size_t offset, size_t size,
         cl_uint n, const cl_event *wait, cl_event *event),
        (queue, buffer, pattern, pattern_size, offset, size, n, wait, event))
CALL(clGetEventProfilingInfo, CL_PROFILING_INFO_NOT_AVAILABLE,
     (cl_event event, cl_profiling_info name, size_t size, void *value, size_t *size_ret),
     (event, name, size, value, size_ret))
/* Waits even when it fails: a device that is gone works on nothing, and its memory is the caller's again. */
cl_int clFinish(cl_command_queue queue) {
    cl_int code = tick("clFinish", CL_OUT_OF_RESOURCES);
    fake.inside++;
    cl_int waited = REAL(clFinish)(queue);
    fake.inside--;
    return code != CL_SUCCESS ? code : waited;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */
