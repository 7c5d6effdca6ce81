/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // mkstemp, fdopen
#include "tools/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static bool fits(int printed) {
    if (printed >= 0 && printed < PATH_BYTES) {
        return true;
    }
    errno = ENAMETOOLONG;
    return false;
}

bool path_join(char out[PATH_BYTES], const char *folder, const char *name) {
    return fits(snprintf(out, PATH_BYTES, "%s/%s", folder, name));
}

static bool cache_of(char out[PATH_BYTES], const char *program, const char *name) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') { // the standard says to ignore relative ones
        return fits(snprintf(out, PATH_BYTES, "%s/%s/%s", xdg, program, name));
    }
    errno = ENOENT;
    return home && home[0] && fits(snprintf(out, PATH_BYTES, "%s/.cache/%s/%s", home, program, name));
}

bool path_cache(char out[PATH_BYTES], const char *name) {
    return cache_of(out, "moxie", name);
}

bool path_writable_driver_cache(char out[PATH_BYTES]) {
    static const char some[4096];
    const char *told = getenv("POCL_CACHE_DIR");
    char file[PATH_BYTES];
    const bool is = told ? fits(snprintf(out, PATH_BYTES, "%s", told)) : cache_of(out, "pocl", "kcache");
    if (!is) {
        return true; // elsewhere, or nowhere
    }
    const int fd = path_make_folder(out) && path_join(file, out, "moxie-XXXXXX") ? mkstemp(file) : -1;
    const bool can = fd >= 0 && write(fd, some, sizeof(some)) == sizeof(some) && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0) {
        close(fd);
        unlink(file);
    }
    errno = why;
    return can;
}

bool path_make_folder(const char *path) {
    char part[PATH_BYTES];
    if (!path[0]) {
        errno = ENOENT;
        return false;
    }
    if (!fits(snprintf(part, sizeof(part), "%s", path))) {
        return false;
    }
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') {
            continue;
        }
        char end = *p;
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return false;
        }
        *p = end;
        if (!end) {
            return true;
        }
    }
}

static bool has_room(const char *folder, uint64_t bytes) {
    struct statvfs st;
    return statvfs(folder, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize / 2 > bytes;
}

int path_scratch(char out[PATH_BYTES], const char *name, uint64_t bytes) {
    char file[96], folder[PATH_BYTES] = "/dev/shm", named[PATH_BYTES];
    snprintf(file, sizeof(file), "moxie-%s-XXXXXX", name);
    const bool ok = has_room(folder, bytes) || (path_cache(folder, name) && path_make_folder(folder));
    const int fd = ok && path_join(named, folder, file) ? mkstemp(named) : -1;
    if (fd >= 0) {
        unlink(named);
        snprintf(out, PATH_BYTES, "/proc/self/fd/%d", fd);
    }
    return fd;
}

bool path_same(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool out_file_open(struct out_file *f, const char *path) {
    *f = (struct out_file){.path = path};
    const int fd = pk_destination_open(&f->to, path) ? dup(f->to.fd) : -1;
    f->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f->file) {
        const int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = why;
        pk_destination_close(&f->to);
    }
    return f->file != NULL;
}

bool out_file_commit(struct out_file *f) {
    const bool flushed = fflush(f->file) == 0 && !ferror(f->file);
    const int why = errno;
    bool ok = fclose(f->file) == 0;
    f->file = NULL;
    if (ok && !flushed) {
        errno = why;
    }
    ok = ok && flushed && pk_destination_commit(&f->to);
    pk_destination_close(&f->to);
    return ok;
}

void out_file_discard(struct out_file *f) {
    if (f->file) {
        fclose(f->file);
        f->file = NULL;
        pk_destination_close(&f->to);
    }
}
