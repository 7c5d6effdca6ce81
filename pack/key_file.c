/* SPDX-License-Identifier: Apache-2.0
 *
 * The key store: a folder of NAME.key and NAME.pub. */
#define _GNU_SOURCE // asprintf, strerrordesc_np
#include "pack/key_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack/pk_file.h"
#include "pack/sign.h"

static bool fail_errno(struct pk_error *e, const char *path, const char *what) {
    return pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot %s: %s", path, what, strerrordesc_np(errno));
}

bool pk_key_file_new(const char *path, unsigned mode, const char *text, struct pk_error *e) {
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        pk_fail_memory(e);
        return false;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    bool ok = fd >= 0;
    if (ok) {
        size_t n = strlen(text);
        ok = write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
        ok = close(fd) == 0 && ok;
        ok = ok && link(temporary, path) == 0; /* unlike rename, never replaces a key */
        if (!ok) {
            fail_errno(e, path, "write");
        }
        unlink(temporary);
    } else {
        fail_errno(e, temporary, "create");
    }
    free(temporary);
    return ok;
}

/* Makes the folder and those above it. */
static bool make_folders(char *path, struct pk_error *e) {
    for (char *p = path + 1;; p++) {
        char was = *p;
        if (was != '/' && was != '\0') {
            continue;
        }
        *p = '\0';
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST || fail_errno(e, path, "make the folder");
        *p = was;
        if (!ok || !was) {
            return ok;
        }
    }
}

char *pk_key_store(const char *name, bool create, struct pk_error *e) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    bool use_config = config && config[0] == '/';
    if (!use_config && !(home && home[0] == '/')) {
        pk_fail(e, MOXIE_ERROR_FILE, "no key store: neither XDG_CONFIG_HOME nor HOME is an absolute path");
        return NULL;
    }
    char *folder = NULL, *path = NULL;
    if (asprintf(&folder, use_config ? "%s/moxie/keys" : "%s/.config/moxie/keys", use_config ? config : home) < 0) {
        return pk_fail_memory(e);
    }
    if (!create || make_folders(folder, e)) {
        path = name ? pk_path_join(folder, name, e) : strdup(folder);
    }
    free(folder);
    return path;
}

static int is_public(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 4 && strcmp(entry->d_name + n - 4, ".pub") == 0;
}

bool pk_key_store_list(struct pk_public **list, size_t *n, struct pk_error *e) {
    *list = NULL;
    *n = 0;
    char *folder = pk_key_store(NULL, false, e);
    if (!folder) {
        return false;
    }
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_public, alphasort);
    bool ok = count >= 0 || errno == ENOENT || fail_errno(e, folder, "list");
    *list = count > 0 ? malloc((size_t)count * sizeof **list) : NULL;
    if (count > 0 && !*list) {
        pk_fail_memory(e);
        ok = false;
    }
    for (int i = 0; i < count; i++) {
        char *path = ok ? pk_path_join(folder, names[i]->d_name, e) : NULL;
        ok = path && pk_public_open(path, &(*list)[i], e);
        free(path);
        free(names[i]);
    }
    free(names);
    free(folder);
    if (ok) {
        *n = count > 0 ? (size_t)count : 0;
    } else {
        free(*list);
        *list = NULL;
    }
    return ok;
}
