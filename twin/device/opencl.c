/* SPDX-License-Identifier: Apache-2.0
 *
 * An OpenCL driver whose only device is the scalar twins: linked in the place of the loader it gives build/moxie-twin,
 * the whole tool with plain loops for kernels. So the same vectors, steps and reports come from no OpenCL compiler at
 * all, built by any C compiler with any options. MOXIE_TWIN_FLUSH=1 flushes subnormals to zero while a kernel runs.
 *
 * It has what the library calls and no more (tests/test_opencl_calls.sh); objects of the caller are not checked. */
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "twin/kernels.h"
#include "twin/twin.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* the short names are ours */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

struct _cl_platform_id {
    char unused;
};
struct _cl_device_id {
    char unused;
};
struct _cl_context {
    char unused;
};
struct _cl_command_queue {
    char unused;
};
static struct _cl_platform_id platform;
static struct _cl_device_id device;
static struct _cl_context context;
static struct _cl_command_queue queue;

struct _cl_mem {
    uint8_t *bytes;
    uint8_t *owned; /* allocated here; NULL: the caller's, or another buffer's */
};
struct _cl_program {
    struct mx_program_key key;
};
struct _cl_kernel {
    struct mx_program_key key;
    char name[32];
    union twin_arg arg[MX_MAX_ARGS];
};

/* ---- Subnormals ---- */

static bool flushes(void) {
    const char *v = getenv("MOXIE_TWIN_FLUSH");
    return v && strcmp(v, "1") == 0;
}

#if defined(__x86_64__)
static uint64_t set_flush(void) {
    const uint64_t before = _mm_getcsr();
    _mm_setcsr((unsigned)before | 0x8040u); /* FTZ, DAZ */
    return before;
}
static void restore(uint64_t before) {
    _mm_setcsr((unsigned)before);
}
#elif defined(__aarch64__)
static uint64_t set_flush(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1u << 24)); /* FZ */
    return before;
}
static void restore(uint64_t before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
static uint64_t set_flush(void) {
    fputs("MOXIE_TWIN_FLUSH: not known for this processor\n", stderr);
    exit(1);
}
static void restore(uint64_t before) {
    (void)before;
}
#endif

/* ---- What there is ---- */

/* Answers a query with `size` bytes at `from`. */
static cl_int answer(const void *from, size_t bytes, size_t size, void *value, size_t *size_ret) {
    if (size_ret)
        *size_ret = bytes;
    if (!value)
        return CL_SUCCESS;
    if (size < bytes)
        return CL_INVALID_VALUE;
    memcpy(value, from, bytes);
    return CL_SUCCESS;
}

cl_int clGetPlatformIDs(cl_uint n, cl_platform_id *list, cl_uint *count) {
    if (list && n)
        list[0] = &platform;
    if (count)
        *count = 1;
    return CL_SUCCESS;
}

cl_int clGetPlatformInfo(cl_platform_id p, cl_platform_info name, size_t size, void *value, size_t *size_ret) {
    const char *text = name == CL_PLATFORM_NAME ? "Moxie" : "OpenCL 1.2 scalar twin";
    (void)p;
    return answer(text, strlen(text) + 1, size, value, size_ret);
}

cl_int clGetDeviceIDs(cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *list, cl_uint *count) {
    (void)p;
    (void)type;
    if (list && n)
        list[0] = &device;
    if (count)
        *count = 1;
    return CL_SUCCESS;
}

cl_int clGetDeviceInfo(cl_device_id d, cl_device_info name, size_t size, void *value, size_t *size_ret) {
    static const struct {
        cl_device_info name;
        cl_ulong value;
    } numbers[] = {
        {CL_DEVICE_TYPE, CL_DEVICE_TYPE_ACCELERATOR}, /* no processor: kernels are launched one by one */
        {CL_DEVICE_GLOBAL_MEM_SIZE, (cl_ulong)4 << 30},
        {CL_DEVICE_MAX_MEM_ALLOC_SIZE, (cl_ulong)2 << 30},
        {CL_DEVICE_LOCAL_MEM_SIZE, 32 << 10},
        {CL_DEVICE_MAX_COMPUTE_UNITS, 1},
        {CL_DEVICE_MAX_WORK_GROUP_SIZE, 64},
        {CL_DEVICE_MEM_BASE_ADDR_ALIGN, 1024},
        {CL_DEVICE_HOST_UNIFIED_MEMORY, CL_TRUE},
        {CL_DEVICE_SINGLE_FP_CONFIG, CL_FP_DENORM | CL_FP_INF_NAN | CL_FP_ROUND_TO_NEAREST | CL_FP_FMA},
        {CL_DEVICE_ENDIAN_LITTLE, CL_TRUE},
        {CL_DEVICE_AVAILABLE, CL_TRUE},
        {CL_DEVICE_COMPILER_AVAILABLE, CL_TRUE},
    };
    (void)d;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].name == name) /* as long as is asked for; little-endian: the low bytes come first */
            return answer(&numbers[i].value, size < sizeof(cl_ulong) ? size : sizeof(cl_ulong), size, value, size_ret);
    const char *text = name == CL_DEVICE_NAME      ? "scalar twin"
                       : name == CL_DRIVER_VERSION ? (flushes() ? "flush to zero" : "IEEE 754")
                       : name == CL_DEVICE_VERSION ? "OpenCL 1.2 scalar twin"
                                                   : NULL;
    return text ? answer(text, strlen(text) + 1, size, value, size_ret) : CL_INVALID_VALUE;
}

/* ---- Objects ---- */

static void *made(void *object, cl_int *code) {
    if (code)
        *code = object ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    return object;
}

cl_context clCreateContext(const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
                           void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user,
                           cl_int *code) {
    (void)properties, (void)n, (void)devices, (void)notify, (void)user;
    return made(&context, code);
}

cl_command_queue clCreateCommandQueue(cl_context c, cl_device_id d, cl_command_queue_properties properties,
                                      cl_int *code) {
    (void)c, (void)d, (void)properties;
    return made(&queue, code);
}

cl_mem clCreateBuffer(cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
    cl_mem m = calloc(1, sizeof *m);
    (void)c;
    if (m && flags & CL_MEM_USE_HOST_PTR)
        m->bytes = host;
    else if (m)
        m->bytes = m->owned = calloc(1, size);
    return made(m, code);
}

cl_mem clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void *info,
                         cl_int *code) {
    cl_mem m = calloc(1, sizeof *m);
    (void)flags, (void)type;
    if (m)
        m->bytes = buffer->bytes + ((const cl_buffer_region *)info)->origin;
    return made(m, code);
}

cl_int clReleaseContext(cl_context c) {
    (void)c;
    return CL_SUCCESS;
}

cl_int clReleaseCommandQueue(cl_command_queue q) {
    (void)q;
    return CL_SUCCESS;
}

cl_int clReleaseMemObject(cl_mem m) {
    free(m->owned);
    free(m);
    return CL_SUCCESS;
}

cl_int clReleaseProgram(cl_program p) {
    free(p);
    return CL_SUCCESS;
}

cl_int clReleaseKernel(cl_kernel k) {
    free(k);
    return CL_SUCCESS;
}

/* ---- Programs: the options say which ---- */

cl_program clCreateProgramWithSource(cl_context c, cl_uint n, const char **text, const size_t *length, cl_int *code) {
    (void)c, (void)n, (void)text, (void)length;
    return made(calloc(1, sizeof(struct _cl_program)), code);
}

/* Nothing is compiled, so there is nothing to keep. */
cl_program clCreateProgramWithBinary(cl_context c, cl_uint n, const cl_device_id *devices, const size_t *length,
                                     const unsigned char **binary, cl_int *status, cl_int *code) {
    (void)c, (void)n, (void)devices, (void)length, (void)binary, (void)status;
    *code = CL_INVALID_BINARY;
    return NULL;
}

static uint32_t option(const char *options, const char *name) {
    const char *at = strstr(options, name);
    return at ? (uint32_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

cl_int clBuildProgram(cl_program p, cl_uint n, const cl_device_id *devices, const char *options,
                      void(CL_CALLBACK *notify)(cl_program, void *), void *user) {
    (void)n, (void)devices, (void)notify, (void)user;
    p->key = (struct mx_program_key){.format = option(options, "-DMX_FORMAT="),
                                     .group = option(options, "-DMX_GROUP="),
                                     .kv = option(options, "-DMX_KV=")};
    return CL_SUCCESS;
}

cl_int clGetProgramInfo(cl_program p, cl_program_info name, size_t size, void *value, size_t *size_ret) {
    (void)p, (void)name, (void)size, (void)value, (void)size_ret;
    return CL_INVALID_VALUE;
}

cl_int clGetProgramBuildInfo(cl_program p, cl_device_id d, cl_program_build_info name, size_t size, void *value,
                             size_t *size_ret) {
    (void)p, (void)d, (void)name;
    return answer("", 1, size, value, size_ret);
}

/* ---- Kernels ---- */

cl_kernel clCreateKernel(cl_program p, const char *name, cl_int *code) {
    cl_kernel k = calloc(1, sizeof *k);
    if (k) {
        k->key = p->key;
        snprintf(k->name, sizeof k->name, "%s", name);
    }
    return made(k, code);
}

/* Of CL_KERNEL_NUM_ARGS. */
cl_int clGetKernelInfo(cl_kernel k, cl_kernel_info name, size_t size, void *value, size_t *size_ret) {
    struct twin_kernel of;
    (void)name;
    for (size_t i = 0; twin_kernel(i, &of); i++)
        if (strcmp(of.kernel, k->name) == 0) {
            struct twin_parameter list[MX_MAX_ARGS];
            const cl_uint n = twin_parameters(&of, list);
            return answer(&n, sizeof n, size, value, size_ret);
        }
    return CL_INVALID_KERNEL;
}

cl_int clSetKernelArg(cl_kernel k, cl_uint index, size_t size, const void *value) {
    if (index >= MX_MAX_ARGS)
        return CL_INVALID_ARG_INDEX;
    if (size == sizeof(cl_mem))
        k->arg[index].mem = (*(const cl_mem *)value)->bytes;
    else
        memcpy(&k->arg[index].u, value, sizeof k->arg[index].u);
    return CL_SUCCESS;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *offset, const size_t *global,
                              const size_t *local, cl_uint n, const cl_event *wait, cl_event *event) {
    (void)q, (void)offset, (void)n, (void)wait, (void)event;
    /* as twin_run wants it: the units of side 0 */
    const size_t units = global[0] / local[0];
    (void)dims;
    const bool flush = flushes();
    const uint64_t before = flush ? set_flush() : 0;
    const bool ran = twin_run(&k->key, k->name, k->arg, (uint32_t)units);
    if (flush)
        restore(before);
    return ran ? CL_SUCCESS : CL_INVALID_KERNEL;
}

/* ---- The queue: everything is done at once ---- */

cl_int clEnqueueWriteBuffer(cl_command_queue q, cl_mem m, cl_bool blocking, size_t offset, size_t size,
                            const void *from, cl_uint n, const cl_event *wait, cl_event *event) {
    (void)q, (void)blocking, (void)n, (void)wait, (void)event;
    memmove(m->bytes + offset, from, size);
    return CL_SUCCESS;
}

cl_int clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool blocking, size_t offset, size_t size, void *to,
                           cl_uint n, const cl_event *wait, cl_event *event) {
    (void)q, (void)blocking, (void)n, (void)wait, (void)event;
    memmove(to, m->bytes + offset, size);
    return CL_SUCCESS;
}

cl_int clEnqueueFillBuffer(cl_command_queue q, cl_mem m, const void *pattern, size_t pattern_size, size_t offset,
                           size_t size, cl_uint n, const cl_event *wait, cl_event *event) {
    (void)q, (void)n, (void)wait, (void)event;
    for (size_t i = 0; i < size; i += pattern_size)
        memcpy(m->bytes + offset + i, pattern, pattern_size);
    return CL_SUCCESS;
}

cl_int clFinish(cl_command_queue q) {
    (void)q;
    return CL_SUCCESS;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
