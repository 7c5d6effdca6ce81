/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of the packer: a code (the same numbers as the library's) and one sentence that names the file, the tensor or
 * key, the place, and what was expected. */
#ifndef PK_ERROR_H
#define PK_ERROR_H

#include <stdbool.h>

#include "platform/moxie_error.h"

struct pk_error {
    int code; /* enum moxie_error; MOXIE_OK when nothing failed */
    char text[512];
};

/* Fills `e` (may be NULL) and returns false, so that a check ends in `return pk_fail(e, …)`. A text that is too long is
 * cut between two characters; control characters and invalid UTF-8 (names from a hostile file) become '?'. */
bool pk_fail(struct pk_error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What pk_fail does to a text. False: it was printable already. */
bool pk_make_printable(char *text, bool cut);

/* Out of memory: the one failure without a place. Returns NULL, for functions that return a pointer. */
void *pk_fail_memory(struct pk_error *e);

#endif
