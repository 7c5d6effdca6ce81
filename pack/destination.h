/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that appear whole or not at all. */
#ifndef PK_DESTINATION_H
#define PK_DESTINATION_H

#include <stdbool.h>

/* A file without a name in the folder of its destination, or with a temporary one where the file system has no such
 * files, which takes the destination's place in the end. What is no file with a name, a device or a pipe, is written to
 * instead: nothing can take its place. A link is followed; one that leads nowhere is refused. */
struct pk_destination {
    int fd;
    char *path;      /* behind symbolic links */
    char *temporary; /* the name it has until then, if any */
    bool nameless;   /* it has none yet */
};

/* Each returns false for a failure: see errno. pk_destination_close ends what was opened, and removes what was not
 * committed; it may be called when opening failed. */
bool pk_destination_open(struct pk_destination *d, const char *path);
bool pk_destination_commit(struct pk_destination *d); /* survives a crash from then on */
void pk_destination_close(struct pk_destination *d);

#endif
