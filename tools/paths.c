/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // mkstemp, fsync, fdopen, getpid
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

bool path_cache(char out[PATH_BYTES], const char *name) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') { // the standard says to ignore relative ones
        return fits(snprintf(out, PATH_BYTES, "%s/moxie/%s", xdg, name));
    }
    errno = ENOENT;
    return home && home[0] && fits(snprintf(out, PATH_BYTES, "%s/.cache/moxie/%s", home, name));
}

bool path_make_folder(const char *path) {
    char part[PATH_BYTES];
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

bool path_scratch(char out[PATH_BYTES], const char *name, uint64_t bytes) {
    char file[96], folder[PATH_BYTES] = "/dev/shm";
    snprintf(file, sizeof(file), "moxie-%s-%ld", name, (long)getpid());
    bool ok = has_room(folder, bytes) || (path_cache(folder, name) && path_make_folder(folder));
    return ok && path_join(out, folder, file);
}

bool out_file_open(struct out_file *f, const char *path) {
    *f = (struct out_file){.path = path};
    if (!fits(snprintf(f->temporary, sizeof(f->temporary), "%s.XXXXXX", path))) {
        return false;
    }
    int fd = mkstemp(f->temporary);
    if (fd < 0) {
        return false;
    }
    // as open() would have made it; mkstemp gives 0600
    mode_t mask = umask(0);
    umask(mask);
    f->file = fchmod(fd, 0666 & ~mask) == 0 ? fdopen(fd, "wb") : NULL;
    if (!f->file) {
        int why = errno;
        close(fd);
        unlink(f->temporary);
        errno = why;
        return false;
    }
    return true;
}

bool out_file_commit(struct out_file *f) {
    bool ok = fflush(f->file) == 0 && !ferror(f->file) && fsync(fileno(f->file)) == 0;
    int why = errno;
    ok = fclose(f->file) == 0 && ok;
    f->file = NULL;
    if (ok && rename(f->temporary, f->path) == 0) {
        return true;
    }
    why = ok ? errno : why;
    unlink(f->temporary);
    errno = why;
    return false;
}

void out_file_discard(struct out_file *f) {
    if (f->file) {
        fclose(f->file);
        unlink(f->temporary);
        f->file = NULL;
    }
}
