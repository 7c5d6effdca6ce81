/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a struct moxie_failure: the one way in which the library words an error. */
#ifndef MX_FAIL_H
#define MX_FAIL_H

#include "platform/moxie_error.h"

/* For `offset` when the failure has no place in a file. */
#define MX_NO_OFFSET UINT64_MAX

/* Fills `f` (may be NULL) and returns `code`, so that a check ends in `return mx_fail(f, …)`.
 *
 * `fmt` knows %s %.*s %c %d %u %x %ld %lu %lx %lld %llu %llx %zu %zx %% and nothing else: no width, no flags, no
 * floats. Strings may come from a hostile file: what is not printable UTF-8 becomes '?', a NULL string "(null)". A text
 * that is too long is cut between two characters. No allocation, no stdio. Any thread. */
enum moxie_error mx_fail(struct moxie_failure *f, enum moxie_error code, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed OpenCL call; `cl` is its raw cl_int. */
enum moxie_error mx_fail_cl(struct moxie_failure *f, enum moxie_error code, int32_t cl, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
