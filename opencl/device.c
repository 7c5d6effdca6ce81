/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/device.h"

#include <CL/cl_ext.h>
#include <string.h>

#include "opencl/cl_host.h"

enum { MAX_PLATFORMS = 32, MAX_DEVICES = 64 }; /* of one platform; more are not looked at */

/* Devices of one platform; 0 with the code in *failed when it cannot be asked. */
static uint32_t devices_of(cl_platform_id platform, cl_device_id list[MAX_DEVICES], cl_int *failed) {
    cl_uint n = 0;
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, list, &n);
    if (code == CL_SUCCESS)
        return n < MAX_DEVICES ? n : MAX_DEVICES;
    if (code != CL_DEVICE_NOT_FOUND)
        *failed = code;
    return 0;
}

/* Counts all devices; those with `index` go to *platform and *device. */
static uint32_t enumerate(uint32_t index, cl_platform_id *platform, cl_device_id *device, const char **call,
                          cl_int *failed) {
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint n = 0;
    cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &n);
    *failed = CL_SUCCESS;
    if (code != CL_SUCCESS || n == 0) {
        *call = "clGetPlatformIDs";
        *failed = code != CL_SUCCESS ? code : CL_PLATFORM_NOT_FOUND_KHR;
        return 0;
    }
    *call = "clGetDeviceIDs";
    uint32_t count = 0;
    for (uint32_t i = 0; i < n && i < MAX_PLATFORMS; i++) {
        cl_device_id list[MAX_DEVICES];
        uint32_t found = devices_of(platforms[i], list, failed);
        if (index >= count && index - count < found) {
            *platform = platforms[i];
            *device = list[index - count];
        }
        count += found;
    }
    return count;
}

enum moxie_error mx_device_find(uint32_t index, cl_platform_id *platform, cl_device_id *device,
                                struct moxie_failure *failure) {
    const char *call;
    cl_int failed;
    uint32_t count = enumerate(index, platform, device, &call, &failed);
    if (index < count)
        return MOXIE_OK;
    if (count)
        return mx_fail(failure, MOXIE_ERROR_NO_DEVICE, MX_NO_OFFSET, "there is no OpenCL device %u, only 0 to %u",
                       index, count - 1);
    if (failed == CL_SUCCESS)
        return mx_fail(
            failure, MOXIE_ERROR_NO_DEVICE, MX_NO_OFFSET,
            "no OpenCL device: there is a driver, and it offers none. PoCL does so where it cannot write its "
            "cache: set POCL_CACHE_DIR to a folder of yours");
    return mx_fail_cl(
        failure, MOXIE_ERROR_NO_DEVICE, failed,
        "no OpenCL device (%s: %d): install a driver, for the processor itself the package pocl-opencl-icd", call,
        failed);
}

enum moxie_error moxie_device_count(uint32_t *count, struct moxie_failure *failure) {
    if (!count)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "count is NULL");
    cl_platform_id platform;
    cl_device_id device;
    const char *call;
    cl_int failed;
    *count = enumerate(UINT32_MAX, &platform, &device, &call, &failed);
    return MOXIE_OK;
}

/* ---- Facts ---- */

/* A reader of one object's properties; after the first failure it does nothing. */
struct query {
    cl_device_id device;
    cl_int code;
    const char *what; /* the property that failed */
};

static uint64_t number(struct query *q, cl_device_info property, size_t size, const char *name) {
    uint64_t value = 0;
    if (q->code != CL_SUCCESS)
        return 0;
    uint32_t narrow = 0;
    q->code = clGetDeviceInfo(q->device, property, size, size == sizeof narrow ? (void *)&narrow : &value, NULL);
    q->what = name;
    return size == sizeof narrow ? narrow : value;
}
#define NUMBER(q, type, property) ((type)number(q, property, sizeof(type), #property))

/* Copies a driver's text, cut to `n` and with control characters replaced. */
static void clean(char *to, size_t n, const char *from) {
    size_t i = 0;
    for (; i + 1 < n && from[i]; i++)
        to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i];
    while (i > 0 && i + 1 == n && ((unsigned char)from[i] & 0xC0) == 0x80)
        i--; /* not in the middle of a character */
    while (i > 0 && to[i - 1] == ' ')
        i--;
    memset(to + i, 0, n - i);
}

enum { TEXT_MAX = 1024 };

static void text(struct query *q, cl_device_info property, char *to, size_t n, const char *name) {
    char buffer[TEXT_MAX + 1] = {0};
    if (q->code != CL_SUCCESS)
        return;
    size_t size = 0;
    q->what = name;
    q->code = clGetDeviceInfo(q->device, property, 0, NULL, &size);
    if (q->code == CL_SUCCESS && size <= TEXT_MAX)
        q->code = clGetDeviceInfo(q->device, property, size, buffer, NULL);
    if (q->code == CL_SUCCESS)
        clean(to, n, buffer);
}
#define TEXT(q, property, to) text(q, property, to, sizeof(to), #property)

/* cl_nv_device_attribute_query; 0 where the driver does not know it. */
static uint32_t compute_capability(cl_device_id device) {
    enum { MAJOR = 0x4000, MINOR = 0x4001 }; /* CL_DEVICE_COMPUTE_CAPABILITY_…_NV */
    cl_uint major = 0, minor = 0;
    if (clGetDeviceInfo(device, MAJOR, sizeof major, &major, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(device, MINOR, sizeof minor, &minor, NULL) != CL_SUCCESS || major > 1000 || minor > 9)
        return 0;
    return major * 10 + minor;
}

enum moxie_error mx_device_read(cl_platform_id platform, cl_device_id device, struct moxie_device_facts *facts,
                                struct moxie_failure *failure) {
    struct query q = {.device = device, .code = CL_SUCCESS};
    *facts = (struct moxie_device_facts){.size = sizeof *facts};
    facts->type = (uint32_t)NUMBER(&q, cl_device_type, CL_DEVICE_TYPE);
    facts->global_bytes = NUMBER(&q, cl_ulong, CL_DEVICE_GLOBAL_MEM_SIZE);
    facts->max_alloc_bytes = NUMBER(&q, cl_ulong, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    facts->local_bytes = NUMBER(&q, cl_ulong, CL_DEVICE_LOCAL_MEM_SIZE);
    facts->compute_units = NUMBER(&q, cl_uint, CL_DEVICE_MAX_COMPUTE_UNITS);
    facts->max_work_group = (uint32_t)NUMBER(&q, size_t, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    facts->base_align_bytes = NUMBER(&q, cl_uint, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    facts->host_unified =
        NUMBER(&q, cl_bool, CL_DEVICE_HOST_UNIFIED_MEMORY) || (facts->type & CL_DEVICE_TYPE_CPU) ? 1 : 0;
    facts->fp_config = (uint32_t)NUMBER(&q, cl_device_fp_config, CL_DEVICE_SINGLE_FP_CONFIG);
    facts->little_endian = NUMBER(&q, cl_bool, CL_DEVICE_ENDIAN_LITTLE) ? 1 : 0;
    cl_bool available = NUMBER(&q, cl_bool, CL_DEVICE_AVAILABLE);
    cl_bool compiler = NUMBER(&q, cl_bool, CL_DEVICE_COMPILER_AVAILABLE);
    TEXT(&q, CL_DEVICE_NAME, facts->name);
    TEXT(&q, CL_DRIVER_VERSION, facts->driver);
    TEXT(&q, CL_DEVICE_VERSION, facts->version);
    if (q.code != CL_SUCCESS)
        return mx_cl_failed(q.code, "clGetDeviceInfo", q.what, failure);

    char name[TEXT_MAX + 1] = {0};
    cl_int code = clGetPlatformInfo(platform, CL_PLATFORM_NAME, TEXT_MAX, name, NULL);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clGetPlatformInfo", "CL_PLATFORM_NAME", failure);
    clean(facts->platform, sizeof facts->platform, name);
    if (strcmp(facts->platform, "NVIDIA CUDA") == 0)
        facts->compute_capability = compute_capability(device);
    if (!available || !compiler)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET, "device %s: %s", facts->name,
                       available ? "it has no compiler" : "the driver says it is not available");
    return MOXIE_OK;
}

/* "OpenCL M.m …" as M * 10 + m; 0 when it is not that. */
static uint32_t version_number(const char *s) {
    static const char prefix[] = "OpenCL ";
    const size_t n = sizeof prefix - 1;
    if (strncmp(s, prefix, n) != 0 || s[n] < '0' || s[n] > '9' || s[n + 1] != '.' || s[n + 2] < '0' || s[n + 2] > '9')
        return 0;
    return (uint32_t)(s[n] - '0') * 10 + (uint32_t)(s[n + 2] - '0');
}

enum moxie_error mx_device_accept(const struct moxie_device_facts *facts, struct moxie_failure *failure) {
    const char *reason = NULL;
    if (version_number(facts->version) < 12)
        reason = "OpenCL 1.2 is needed";
    else if (!facts->little_endian)
        reason = "it is big-endian, bundles are little-endian";
    else if (!(facts->fp_config & CL_FP_ROUND_TO_NEAREST))
        reason = "its floats do not round to nearest";
    else if (!(facts->fp_config & CL_FP_INF_NAN))
        reason = "its floats have no infinities, so an overflow would not be seen";
    else if (facts->base_align_bytes > 4096)
        reason = "it wants buffers aligned to more than 4096 bytes";
    else if (!facts->max_work_group || !facts->compute_units || !facts->max_alloc_bytes)
        reason = "its driver reports no compute unit or no memory";
    if (reason)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET, "device %s (%s): %s", facts->name,
                       facts->version, reason);
    return MOXIE_OK;
}

enum moxie_error moxie_device_facts(uint32_t index, struct moxie_device_facts *facts, struct moxie_failure *failure) {
    if (!facts)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "facts is NULL");
    cl_platform_id platform = NULL;
    cl_device_id device = NULL;
    enum moxie_error e = mx_device_find(index, &platform, &device, failure);
    if (!e)
        e = mx_device_read(platform, device, facts, failure);
    if (e)
        return e;
    struct moxie_tunables tunables;
    e = moxie_device_tunables(facts, NULL, &tunables, NULL, failure);
    if (e)
        return e;
    facts->dot = mx_device_dot(facts, tunables.without);
    return mx_device_accept(facts, failure);
}
