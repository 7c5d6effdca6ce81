/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular files, or parts of them (members of archives), read at an offset. No mapping: a file that is cut while it is
 * read gives an error, not a signal. */
#ifndef PK_FILE_H
#define PK_FILE_H

#include <stdint.h>

#include "pack/pk_error.h"

struct pk_file {
    char *path; /* as errors name it */
    int fd;
    uint64_t start; /* of the part in the file that `fd` is */
    uint64_t bytes; /* of the part */
};

/* Opens a regular file (symbolic links are followed: the Hugging Face cache is made of them). */
bool pk_file_open(struct pk_file *f, const char *path, struct pk_error *e);
void pk_file_close(struct pk_file *f);

/* Bytes [start, start + bytes) of `whole` as a file of its own, which errors call `path`; `whole` may be closed first.
 */
bool pk_file_part(struct pk_file *f, const struct pk_file *whole, uint64_t start, uint64_t bytes, const char *path,
                  struct pk_error *e);

/* Exactly `n` bytes from `offset`; past the end of the file is MOXIE_ERROR_TRUNCATED. */
bool pk_file_read(const struct pk_file *f, uint64_t offset, void *dst, uint64_t n, struct pk_error *e);

/* Says that these bytes will be read soon; what lies behind the file's end is left out. */
void pk_file_expect(const struct pk_file *f, uint64_t offset, uint64_t n);

/* A whole file of at most `max` bytes, NUL-terminated, to be freed by the caller; NULL: see `e`. `bytes` may be NULL.
 */
char *pk_file_load(const char *path, uint64_t max, uint64_t *bytes, struct pk_error *e);

/* All of an open file of at most `max` bytes, likewise. */
char *pk_file_text(const struct pk_file *f, uint64_t max, uint64_t *bytes, struct pk_error *e);

/* "folder/name", to be freed by the caller; NULL: out of memory. */
char *pk_path_join(const char *folder, const char *name, struct pk_error *e);

/* Also a link that leads nowhere, so that the file it stood for is missed and not taken for absent. */
bool pk_path_exists(const char *path);
bool pk_path_is_folder(const char *path);

/* Of the names of files and tensors. */
bool pk_ends_with(const char *name, const char *end);

#endif
