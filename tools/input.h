/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command reads: whole texts, and lists of token ids. */
#ifndef TOOL_INPUT_H
#define TOOL_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* A file's bytes, or those of standard input for "-", NUL-terminated, to be freed. NULL: *status, reported. */
char *input_read(const char *path, size_t *bytes, int *status);

/* Decimal ids separated by white space or commas, each below `vocab`; at least one. To be freed. NULL: *status,
 * reported with the place. */
int32_t *input_tokens(const char *path, uint32_t vocab, size_t *count, int *status);

#endif
