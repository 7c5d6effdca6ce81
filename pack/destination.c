/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // mkostemp, asprintf
#define _FILE_OFFSET_BITS 64
#include "pack/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The mode that a new file would have; mkostemp gives 0600. */
static mode_t usual_mode(void) {
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* A file without a name in the folder of `path`, of which nothing is left however this process ends; -1 where the file
 * system, or a system without /proc, cannot give it a name later. */
static int open_nameless(const char *path) {
    char *folder = strdup(path);
    const bool can = folder && access("/proc/self/fd", X_OK) == 0;
    const int fd = can ? open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;
    free(folder);
    return fd;
}

/* Gives a nameless file the destination's name or, where there is a file of that name, a temporary one beside it. */
static bool give_name(struct pk_destination *d) {
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, d->path, AT_SYMLINK_FOLLOW) == 0) {
        return true;
    }
    for (unsigned i = 0; errno == EEXIST && i < 1000; i++) {
        if (asprintf(&d->temporary, "%s.%d-%u", d->path, (int)getpid(), i) < 0) {
            d->temporary = NULL;
            return false;
        }
        if (linkat(AT_FDCWD, self, AT_FDCWD, d->temporary, AT_SYMLINK_FOLLOW) == 0) {
            return true;
        }
        const int why = errno;
        free(d->temporary);
        d->temporary = NULL;
        errno = why;
    }
    return false;
}

bool pk_destination_open(struct pk_destination *d, const char *path) {
    struct stat st;
    *d = (struct pk_destination){.fd = -1};
    const bool exists = stat(path, &st) == 0;
    const int why = errno;
    if (!exists && lstat(path, &st) == 0) { // a link that leads nowhere, or in circles
        errno = why;
        return false;
    }
    if (exists && (!S_ISREG(st.st_mode) || st.st_nlink == 0)) {
        d->fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC); // a folder is refused here
        return d->fd >= 0;
    }
    if (!path[0]) {
        errno = ENOENT;
        return false;
    }
    d->path = exists ? realpath(path, NULL) : strdup(path);
    d->fd = d->path ? open_nameless(d->path) : -1;
    d->nameless = d->fd >= 0;
    if (d->nameless) {
        return true;
    }
    if (!d->path || asprintf(&d->temporary, "%s.XXXXXX", d->path) < 0) {
        d->temporary = NULL;
        return false;
    }
    d->fd = mkostemp(d->temporary, O_CLOEXEC);
    return d->fd >= 0 && fchmod(d->fd, usual_mode()) == 0;
}

/* The new name must survive a crash too. */
static bool sync_folder(char *path) {
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL); // some file systems cannot
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool pk_destination_commit(struct pk_destination *d) {
    if (!d->temporary && !d->nameless) {
        return true;
    }
    if (fsync(d->fd) != 0 || (d->nameless && !give_name(d)) || (d->temporary && rename(d->temporary, d->path) != 0)) {
        return false;
    }
    free(d->temporary);
    d->temporary = NULL;
    d->nameless = false;
    return sync_folder(d->path);
}

void pk_destination_close(struct pk_destination *d) {
    const int why = errno; // the caller's
    if (d->fd >= 0) {
        close(d->fd);
        if (d->temporary) {
            unlink(d->temporary);
        }
    }
    free(d->temporary);
    free(d->path);
    *d = (struct pk_destination){.fd = -1};
    errno = why;
}
