/* SPDX-License-Identifier: Apache-2.0
 *
 * Board files: the facts of a device as text, one "key = value" a line, # begins a comment (boards/README.md). */
#ifndef TOOL_BOARD_H
#define TOOL_BOARD_H

#include <stdbool.h>

#include "runtime/moxie.h"

/* `board` is a facts file, a folder with one, or the name of a folder in boards/ (of the working directory, or beside
 * the tool). Every key must be there. An exit status, reported with file and line. */
int board_read(const char *board, struct moxie_device_facts *facts);

/* Calls `visit` with the path of each facts file in boards/ (of the working directory, or beside the tool), in the
 * order of names, until one call does not give STATUS_OK. An exit status, reported. */
int board_each(int (*visit)(void *user, const char *path), void *user);

/* The facts of OpenCL device `device` as such a file. */
void board_print(uint32_t device, const struct moxie_device_facts *facts);

/* Tells `visit` every fact as text. */
void board_visit(const struct moxie_device_facts *facts,
                 void (*visit)(void *user, const char *key, const char *text, bool is_number), void *user);

#endif
