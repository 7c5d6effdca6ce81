/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the test and a kernel that was compiled as C: where the running work-item is, and what it waits for. */
#ifndef SIMT_H
#define SIMT_H

#include <stdint.h>

struct simt {
    uint32_t thread, size;        /* work-item, and how many the work-group has */
    uint32_t group[3], groups[3]; /* work-group, and how many there are */
    void (*barrier)(void);        /* returns when the work-group's items have all called it */
    /* The same for the 32 items of a warp; sum is then what mma.m16n8k32 makes of the registers of all. */
    void (*mma)(int32_t sum[4], const uint32_t a[4], const int32_t b[2]);
};

union simt_arg {
    void *mem;
    uint32_t u;
};

/* What the compiled kernel defines. */
typedef void simt_kernel(struct simt *machine, const union simt_arg *arg);

#endif
