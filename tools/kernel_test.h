/* SPDX-License-Identifier: Apache-2.0
 *
 * Running twin/selftest.h from a command: with the user's kernel cache, progress and Ctrl-C. */
#ifndef TOOL_KERNEL_TEST_H
#define TOOL_KERNEL_TEST_H

#include "tools/helpers.h"
#include "tools/kernel_cache.h"
#include "tools/kernel_report.h"
#include "tools/tune.h"

struct kernel_test {
    struct twin_selftest t;  /* device, kernels, alone and small are the caller's */
    struct tune tune;        /* parsed */
    bool print;              /* what is wrong, as it is found */
    const char *reproduce;   /* a folder that the first wrong case is written to (twin/reproducer.h); NULL: none */
    struct helpers *helpers; /* whose first units are the programs; NULL: none */
    struct kernel_cache cache;
    struct kernel_report report;
    struct moxie_device_facts facts;
};

/* Are all of the names, between commas, names of kernels? */
bool kernel_test_knows(const char *names);

/* Gives {cases, wrong, kernels: [...]}. NULL: *status is an exit status, reported. */
json_t *kernel_test_run(struct kernel_test *k, int *status);

#endif
