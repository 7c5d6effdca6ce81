/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices and their facts. Part of the public interface (moxie.h includes it); it stands in opencl/ because that layer
 * fills it. The rules at the top of moxie.h hold here too. */
#ifndef MOXIE_DEVICE_H
#define MOXIE_DEVICE_H

#include <stdint.h>

#include "platform/moxie_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What planning and acceptance need to know of a device. moxie_device_facts reads it from OpenCL; a board file holds
 * the same numbers, so that a plan needs no device. */
struct moxie_device_facts {
    uint32_t size;
    uint32_t type;            /* CL_DEVICE_TYPE_* bits */
    uint64_t global_bytes;    /* CL_DEVICE_GLOBAL_MEM_SIZE */
    uint64_t max_alloc_bytes; /* CL_DEVICE_MAX_MEM_ALLOC_SIZE */
    uint64_t local_bytes;
    uint32_t compute_units;
    uint32_t max_work_group;
    uint32_t base_align_bytes; /* CL_DEVICE_MEM_BASE_ADDR_ALIGN / 8 */
    uint32_t host_unified;     /* 1: weights are used where they are mapped; 0: uploaded once */
    uint32_t fp_config;        /* CL_DEVICE_SINGLE_FP_CONFIG */
    uint32_t little_endian;
    uint32_t compute_capability; /* NVIDIA's, major * 10 + minor; 0: another device */
    uint32_t dot;                /* filled by the library: dot product variant chosen (0 portable) */
    char platform[64], name[96], driver[64], version[64];
};
#define MOXIE_DEVICE_FACTS                                                                                             \
    { .size = sizeof(struct moxie_device_facts) }

/* Number of OpenCL devices, in the order of platforms and devices. 0 devices is not an error here. */
enum moxie_error moxie_device_count(uint32_t *count, struct moxie_failure *failure);

/* Facts of device `index`; failure MOXIE_ERROR_DEVICE_UNFIT says why moxie_init would refuse it (facts are filled). */
enum moxie_error moxie_device_facts(uint32_t index, struct moxie_device_facts *facts, struct moxie_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
