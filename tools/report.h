/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tool says when something fails, and the exit status that goes with it. One sentence on standard error,
 * prefixed with "moxie COMMAND:". */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/moxie_error.h"

enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,       /* something of the tool's own: output cannot be written, out of memory */
    STATUS_USAGE = 2,        /* the command line */
    STATUS_INTERRUPTED = 130 /* Ctrl-C, as shells have it */
};

/* Name of the command that runs, for the prefix. */
extern const char *report_command;

/* Exit status of an error code: tens for its group, units for its number in it; 303 (hash) gives 33. */
int status_of(int code);

/* Each reports and returns the exit status. */
int report_failure(const struct moxie_failure *failure);
int report_failure_in(const char *path, const struct moxie_failure *failure);           /* of a file that is named */
int report_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* with the code's name */
int report_tool(const char *fmt, ...) __attribute__((format(printf, 1, 2)));            /* STATUS_FAILED */
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));            /* STATUS_USAGE */

/* A remark that changes nothing. */
void report_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flushes standard output; STATUS_FAILED, reported, when it could not be written, else `status`. */
int finish_output(int status);

/* Prints a text of a model or a foreign file, which may hold anything: on a terminal, control characters would be
 * commands to it, and are left out. */
void print_foreign(const char *text, size_t bytes, bool terminal);

#endif
