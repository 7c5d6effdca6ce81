/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's conformance report, a JSON object that is made (conform_run.c), told to people (conform_text.c) and
 * compared (conform_compare.c):
 *
 *   moxie_conform   1: the version of this layout
 *   moxie, date, host, small, portable, threads
 *   tune            what was asked for, or null
 *   model           the only one that was run, or null for all
 *   environment     what the driver says, by the names of OpenCL
 *   facts           what the library reads of it, as in a board file
 *   refused         null, or why the library does not take the device
 *   kernels         moxie selftest --json; null when a model was named
 *   vectors         [{model, bundle_sha256, expected: {"33": …}, result: "ok" | "differs" | an error's name,
 *                     replaced: [what is not used in the fastest form: kernel, was, is, why],
 *                     runs: [{tokens, batch, chunk, sha256, seconds}], rows: digests of the longest prompt's rows}]
 *   bundles         the same of bundles that were named; what is expected of them is null
 *   fingerprint (null: refused), expected_fingerprint, result: "conforms" | "differs" | "refused", seconds */
#ifndef TOOL_CONFORM_H
#define TOOL_CONFORM_H

#include <jansson.h>

#include "tools/args.h"
#include "tools/engine.h"

#define CONFORM_VERSION 1

struct conform_options {
    struct engine_options engine; /* bundle is not used */
    const struct arg_places *bundles;
    bool small;
    const char *model;     /* the only one, without the kernels' own cases; NULL: all */
    uint32_t jobs;         /* processes that compile; 0: one for each processor */
    const char *reproduce; /* a folder for the first wrong kernel; NULL: none */
};

/* Can the bundles be opened? An exit status, reported. */
int conform_look_at_bundles(const struct conform_options *o);

/* Runs everything. NULL: *status is an exit status, reported. A device that differs is no failure. */
json_t *conform_run(const struct conform_options *o, int *status);

/* A report from a file, its layout checked. NULL: *status is an exit status, reported. */
json_t *conform_read(const char *path, int *status);

/* Markdown: one table with all that a bug report needs, what is wrong below it. To standard output. */
void conform_markdown(const json_t *report);

/* Says in words where two devices part. True: nowhere. */
bool conform_compare(const char *a_path, const json_t *a, const char *b_path, const json_t *b);

#endif
