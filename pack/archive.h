/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in a tar or zip archive, also a compressed one. Members that the archive stores as they are, are read in
 * place; others can be unpacked to a temporary file without a name, which vanishes with the process. */
#ifndef PK_ARCHIVE_H
#define PK_ARCHIVE_H

#include <stddef.h>

#include "pack/pk_file.h"

enum pk_member_kind {
    PK_MEMBER_STORED,   /* `start` is in the archive */
    PK_MEMBER_UNPACKED, /* `start` is in the temporary file */
    PK_MEMBER_PACKED,   /* compressed, and was not unpacked */
    PK_MEMBER_LINK,     /* a link to something else: not followed */
};

struct pk_member {
    char *name; /* path in the archive, without "./" in front */
    enum pk_member_kind kind;
    uint64_t start, bytes;
};

struct pk_archive {
    struct pk_member *members; /* sorted by name; none appears twice, leads upwards or is absolute */
    size_t n_members;
    struct pk_file temporary; /* fd -1: nothing was unpacked */
};

/* Lists the archive in `f`. wanted (may be NULL: none) says which compressed members to unpack. `a` is to be freed also
 * after a failure. */
bool pk_archive_read(struct pk_archive *a, const struct pk_file *f, bool (*wanted)(const char *name),
                     struct pk_error *e);
void pk_archive_free(struct pk_archive *a);

/* NULL: there is none. */
const struct pk_member *pk_archive_find(const struct pk_archive *a, const char *name);

/* The member as a file of its own, called `path` in errors; `f` is the archive. Packed ones and links are refused. */
bool pk_archive_open(const struct pk_archive *a, const struct pk_file *f, const struct pk_member *m, const char *path,
                     struct pk_file *out, struct pk_error *e);

#endif
