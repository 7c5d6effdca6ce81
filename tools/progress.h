/* SPDX-License-Identifier: Apache-2.0
 *
 * A bar with the time left on standard error, when that is a terminal and the work takes more than a second. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool bytes;       /* what is counted: then MB/s are told too */
    const char *what; /* the work in hand; its strings are compared by text */
    double began, shown;
    bool visible;
};

/* Seconds on a clock that never goes back. */
double seconds_now(void);

/* When main began. */
extern double seconds_of_start;

void progress_update(struct progress *p, const char *what, uint64_t done, uint64_t total);

/* Removes the bar. */
void progress_end(struct progress *p);

#endif
