/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdicts of twin/selftest.h for people and for programs. */
#ifndef TOOL_KERNEL_REPORT_H
#define TOOL_KERNEL_REPORT_H

#include <jansson.h>

#include "tools/progress.h"
#include "twin/selftest.h"

/* One line of the summary: a kernel over all its programs and forms. */
struct kernel_line {
    char kernel[32];
    uint32_t forms, cases, wrong;
};

struct kernel_report {
    struct progress progress;
    struct kernel_line line[32];
    uint32_t lines, forms, cases, wrong;
    json_t *list; /* an array; NULL: none is made */
};

/* "I4, group 32, scales F16", "keys and values F16"; "" for a program without such things. */
void kernel_program_text(const struct twin_verdict *v, char text[80]);

/* Counts the verdict, and appends it to the list. */
void kernel_report_add(struct kernel_report *r, const struct twin_verdict *v);

/* A verdict that is not OK, in words, to standard output. */
void kernel_report_wrong(struct kernel_report *r, const struct twin_verdict *v);

/* The lines, and a last one about all; "of what was tested". */
void kernel_report_summary(struct kernel_report *r);

#endif
