/* SPDX-License-Identifier: Apache-2.0
 *
 * Launches of measured steps, put together by kind, and the timeline of the last step. */
#ifndef TOOL_LAUNCH_REPORT_H
#define TOOL_LAUNCH_REPORT_H

#include <jansson.h>
#include <stddef.h>

#include "runtime/moxie.h"

struct launch_kind {
    const char *kernel, *what;
    uint64_t launches, bytes, operations;
    double seconds;
};

struct launch_report {
    struct launch_kind kind[64];
    size_t kinds;
    struct moxie_launch *last; /* (room) launches of the step that runs or ran last */
    size_t launches, room;
    uint64_t steps;
    double inside, between; /* seconds of all steps in launches, and between the first's start and the last's end */
};

/* To be called before each step; its launches are then given one by one. 0: out of memory. */
int launch_report_step(struct launch_report *r, size_t launches_max);
void launch_report_add(struct launch_report *r, const struct moxie_launch *launch);
/* After the step. */
void launch_report_end(struct launch_report *r);

/* A table, or the same as JSON. Peaks: bytes and operations per second of the machine, 0 where unknown. */
void launch_report_print(const struct launch_report *r, const char *title, double bytes_peak, double operations_peak);
json_t *launch_report_json(const struct launch_report *r, double bytes_peak, double operations_peak);

/* Writes the last step in the format that chrome://tracing and Perfetto read. An exit status, reported. */
int launch_report_trace(const struct launch_report *r, const char *path);

void launch_report_free(struct launch_report *r);

#endif
