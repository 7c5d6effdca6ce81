/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that do parts of a work ahead of this one and leave what they compiled in the kernel cache: drivers compile
 * one program at a time, however many processors there are. The work is a row of numbered units; this process does all
 * of them from the first on and finds compiled what a helper did, who takes units that nobody has from the last on. */
#ifndef TOOL_HELPERS_H
#define TOOL_HELPERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HELPERS_UNITS 256u
#define HELPERS_MAX 15u
#define HELPER_BYTES (300l << 20) /* about what a compiler takes */

struct helpers {
    struct helpers_row *row; /* shared; NULL: no helpers */
    bool helper;             /* this process is one */
    int32_t hand;            /* the unit in hand, -1: none */
    pid_t parent, child[HELPERS_MAX];
};

#define HELPERS_OPTION(to)                                                                                             \
    {                                                                                                                  \
        "--jobs", .kind = ARG_U32, .out = (to), .value = "N", .min = 1, .max = HELPERS_MAX + 1,                        \
                  .help = "processes that compile (default: one for each processor, at most 16)"                       \
    }

/* Starts jobs - 1 helpers; jobs 0: one job for each processor, as memory allows. Each calls `work` and ends; what it
 * says is not heard. Before the first call of OpenCL: a driver's threads do not come along. */
void helpers_start(struct helpers *h, uint32_t jobs, void (*work)(void *user), void *user);

/* The unit in hand is done, `unit` is next. A helper: false when another has it. This process waits for who has it. */
bool helpers_take(struct helpers *h, uint32_t unit);

/* Ends the helpers that are left. */
void helpers_end(struct helpers *h);

#endif
