/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing key files: whole or not at all, and never over an existing one. */
#ifndef PK_KEY_FILE_H
#define PK_KEY_FILE_H

#include "pack/pk_error.h"

/* Makes `path` with `mode` and the text; MOXIE_ERROR_FILE when it exists already or cannot be written. */
bool pk_key_file_new(const char *path, unsigned mode, const char *text, struct pk_error *e);

#endif
