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

/* How kernels are built and launched on a device, and what its driver cannot do. Speed depends on these; bits do not.
 * Zero = the library's choice: what boards/NAME/tunables of the board that the device is says, else what its facts
 * suggest. */
struct moxie_tunables {
    uint32_t size;
    uint32_t work_group; /* work-items of a work-group, a multiple of 64, of which 16 are the 16 rows of a tile; 1: one
                          * work-item computes a tile with vectors of 16, as processors want it */
    uint32_t no_lists;   /* 1: each kernel is launched by itself, also on a processor */
    uint32_t side_by_side; /* entries (rows of activations) that a product computes side by side, 4 to 8 */
    uint32_t unit_entries; /* entries for which a unit of a product reads a tile of weights, at most 256 */
    uint32_t core_units;   /* of a processor: units of a matrix for each core, */
    uint32_t job_units;    /* the same of each job where there are several (experts) */
    uint32_t ahead;        /* bytes that weights are prefetched ahead in a product for one entry, on x86-64 */
    uint32_t row_ahead;    /* bytes that a row of activations is prefetched ahead in a product for several */
    uint32_t without;      /* bit n: variant n of the dot product is not used; 0xffffffff: portable kernels only */
    uint32_t loop_rounds;  /* the driver leaves loops after so many rounds: plans that need more are refused. Of quirks
                            * (no_lists, without, loop_rounds) the stricter is in force, what is asked or the board's */
};
#define MOXIE_TUNABLES                                                                                                 \
    { .size = sizeof(struct moxie_tunables) }

/* Number of OpenCL devices, in the order of platforms and devices. 0 devices is not an error here. */
enum moxie_error moxie_device_count(uint32_t *count, struct moxie_failure *failure);

/* Facts of device `index`; failure MOXIE_ERROR_DEVICE_UNFIT says why moxie_init would refuse it (facts are filled). */
enum moxie_error moxie_device_facts(uint32_t index, struct moxie_device_facts *facts, struct moxie_failure *failure);

/* The tunables in force on a device with these facts when `asked` (NULL: nothing) is asked for, and the name of its
 * board (static memory; NULL: it is of none). side_by_side, unit_entries, ahead and row_ahead stay zero where the
 * kernels themselves decide. Pure. Errors: VERSION, ARGUMENT (asked for what the device or the kernels cannot do). */
enum moxie_error moxie_device_tunables(const struct moxie_device_facts *facts, const struct moxie_tunables *asked,
                                       struct moxie_tunables *tunables, const char **board,
                                       struct moxie_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
