/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "platform/fail.h"

enum { TEXT_MAX = 1 << 16 };

#define PROPERTY(p)                                                                                                    \
    { #p, p }
static const struct {
    const char *name;
    cl_uint property;
} platform_texts[] = {PROPERTY(CL_PLATFORM_NAME), PROPERTY(CL_PLATFORM_VENDOR), PROPERTY(CL_PLATFORM_VERSION),
                      PROPERTY(CL_PLATFORM_PROFILE)},
  device_texts[] = {PROPERTY(CL_DEVICE_NAME),      PROPERTY(CL_DEVICE_VENDOR),  PROPERTY(CL_DRIVER_VERSION),
                    PROPERTY(CL_DEVICE_VERSION),   PROPERTY(CL_DEVICE_PROFILE), PROPERTY(CL_DEVICE_OPENCL_C_VERSION),
                    PROPERTY(CL_DEVICE_EXTENSIONS)},
  device_numbers[] = {
      PROPERTY(CL_DEVICE_TYPE),
      PROPERTY(CL_DEVICE_VENDOR_ID),
      PROPERTY(CL_DEVICE_MAX_COMPUTE_UNITS),
      PROPERTY(CL_DEVICE_MAX_CLOCK_FREQUENCY),
      PROPERTY(CL_DEVICE_ADDRESS_BITS),
      PROPERTY(CL_DEVICE_GLOBAL_MEM_SIZE),
      PROPERTY(CL_DEVICE_GLOBAL_MEM_CACHE_SIZE),
      PROPERTY(CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE),
      PROPERTY(CL_DEVICE_MAX_MEM_ALLOC_SIZE),
      PROPERTY(CL_DEVICE_LOCAL_MEM_TYPE),
      PROPERTY(CL_DEVICE_LOCAL_MEM_SIZE),
      PROPERTY(CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE),
      PROPERTY(CL_DEVICE_MAX_PARAMETER_SIZE),
      PROPERTY(CL_DEVICE_MAX_WORK_GROUP_SIZE),
      PROPERTY(CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS),
      PROPERTY(CL_DEVICE_MEM_BASE_ADDR_ALIGN),
      PROPERTY(CL_DEVICE_HOST_UNIFIED_MEMORY),
      PROPERTY(CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT),
      PROPERTY(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT),
      PROPERTY(CL_DEVICE_SINGLE_FP_CONFIG),
      PROPERTY(CL_DEVICE_DOUBLE_FP_CONFIG),
      PROPERTY(CL_DEVICE_ENDIAN_LITTLE),
      PROPERTY(CL_DEVICE_ERROR_CORRECTION_SUPPORT),
      PROPERTY(CL_DEVICE_PARTITION_MAX_SUB_DEVICES),
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum moxie_error twin_environment(uint32_t device,
                                  void (*visit)(void *user, const char *key, const char *text, bool is_number),
                                  void *user, struct moxie_failure *failure) {
    cl_platform_id platform = NULL;
    cl_device_id id = NULL;
    enum moxie_error e = mx_device_find(device, &platform, &id, failure);
    char *text = e ? NULL : malloc(TEXT_MAX);
    if (e || !text)
        return e ? e : mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < COUNT(platform_texts); i++)
        if (clGetPlatformInfo(platform, platform_texts[i].property, TEXT_MAX, text, NULL) == CL_SUCCESS)
            visit(user, platform_texts[i].name, text, false);
    for (size_t i = 0; i < COUNT(device_texts); i++)
        if (clGetDeviceInfo(id, device_texts[i].property, TEXT_MAX, text, NULL) == CL_SUCCESS)
            visit(user, device_texts[i].name, text, false);
    for (size_t i = 0; i < COUNT(device_numbers); i++) {
        uint64_t value = 0;
        size_t size = 0;
        if (clGetDeviceInfo(id, device_numbers[i].property, sizeof value, &value, &size) != CL_SUCCESS)
            continue;
        if (size == sizeof(uint32_t)) { /* whatever the order of bytes */
            uint32_t narrow;
            memcpy(&narrow, &value, sizeof narrow);
            value = narrow;
        }
        snprintf(text, TEXT_MAX, "%" PRIu64, value);
        visit(user, device_numbers[i].name, text, true);
    }
    free(text);
    return MOXIE_OK;
}
