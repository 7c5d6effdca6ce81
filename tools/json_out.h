/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on standard output, for --json. */
#ifndef TOOL_JSON_OUT_H
#define TOOL_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>

/* Prints `value` and a line end, and releases it; NULL (out of memory, text that is not UTF-8) is reported. An exit
 * status. */
int json_print(json_t *value);

/* A path, or "?" for one that is not UTF-8: JSON has no other text. NULL stays NULL. */
const char *json_path(const char *path);

/* For board_visit: a device's fact, into the object `user`. */
void json_fact(void *user, const char *key, const char *text, bool is_number);

#endif
