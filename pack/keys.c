/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include "pack/keys.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pack/pk_file.h"

#define PUBLIC_SUFFIX ".pub.pem"
#define PRIVATE_SUFFIX ".key.pem"

char *pk_keys_folder(struct pk_error *e) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char path[4096];
    int n;
    if (config && config[0] == '/') { // relative paths are to be ignored, says the XDG specification
        n = snprintf(path, sizeof(path), "%s/moxie/keys", config);
    } else if (home && home[0]) {
        n = snprintf(path, sizeof(path), "%s/.config/moxie/keys", home);
    } else {
        pk_fail(e, MOXIE_ERROR_FILE, "no key store: neither XDG_CONFIG_HOME nor HOME is set");
        return NULL;
    }
    if (n < 0 || (size_t)n >= sizeof(path)) {
        pk_fail(e, MOXIE_ERROR_FILE, "no key store: XDG_CONFIG_HOME or HOME is too long");
        return NULL;
    }
    char *copy = strdup(path);
    if (!copy) {
        pk_fail_memory(e);
    }
    return copy;
}

/* folder/name + suffix, checked; to be freed. */
static char *key_path(const char *name, const char *suffix, struct pk_error *e) {
    size_t n = strlen(name);
    if (n == 0 || n > 64 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != n) {
        pk_fail(e, MOXIE_ERROR_ARGUMENT, "key name \"%s\": expected 1 to 64 letters, digits, '-' or '_'", name);
        return NULL;
    }
    char *folder = pk_keys_folder(e), file[96];
    if (!folder) {
        return NULL;
    }
    snprintf(file, sizeof(file), "%s%s", name, suffix);
    char *path = pk_path_join(folder, file, e);
    free(folder);
    return path;
}

/* Makes `folder` and the folders above it. */
static bool make_folders(char *folder, struct pk_error *e) {
    for (char *p = folder + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char was = *p;
        *p = '\0';
        int failed = mkdir(folder, 0700) != 0 && errno != EEXIST;
        if (failed) {
            return pk_fail(e, MOXIE_ERROR_FILE, "%s: %s", folder, strerror(errno));
        }
        *p = was;
        if (!was) {
            return true;
        }
    }
}

bool pk_keys_create(const char *name, struct pk_key *key, struct pk_error *e) {
    char *private = key_path(name, PRIVATE_SUFFIX, e), *public = key_path(name, PUBLIC_SUFFIX, e);
    char *folder = private && public ? pk_keys_folder(e) : NULL;
    bool ok = folder && make_folders(folder, e);
    if (ok && (pk_path_exists(private) || pk_path_exists(public))) {
        ok = pk_fail(e, MOXIE_ERROR_FILE, "%s: there is a key of this name already", private);
    }
    ok = ok && pk_key_generate(key, e) && pk_key_write_private(key, private, e);
    if (ok && !pk_key_write_public(key->xy, public, e)) {
        remove(private);
        ok = false;
    }
    free(folder);
    free(public);
    free(private);
    return ok;
}

bool pk_keys_private(const char *name, struct pk_key *key, bool *missing, struct pk_error *e) {
    char *path = key_path(name, PRIVATE_SUFFIX, e);
    if (missing) {
        *missing = path && !pk_path_exists(path);
    }
    bool ok = path && pk_key_read_private(key, path, e);
    free(path);
    return ok;
}

static int is_public(const struct dirent *entry) {
    size_t n = strlen(entry->d_name), m = strlen(PUBLIC_SUFFIX);
    return entry->d_name[0] != '.' && n > m && strcmp(entry->d_name + n - m, PUBLIC_SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name); // not alphasort: the order must not depend on the locale
}

bool pk_keys_public(uint8_t (**xy)[64], size_t *count, struct pk_error *e) {
    *xy = NULL;
    *count = 0;
    char *folder = pk_keys_folder(e);
    if (!folder) {
        return false;
    }
    struct dirent **entries = NULL;
    int n = pk_path_is_folder(folder) ? scandir(folder, &entries, is_public, by_name) : 0;
    bool ok = n >= 0 || pk_fail(e, MOXIE_ERROR_FILE, "%s: %s", folder, strerror(errno));
    if (ok && n > PK_KEYS_MAX) {
        ok = pk_fail(e, MOXIE_ERROR_FILE, "%s: %d public keys, at most %d", folder, n, PK_KEYS_MAX);
    }
    if (ok && n > 0) {
        *xy = calloc((size_t)n, sizeof(**xy));
        ok = *xy || pk_fail_memory(e);
    }
    for (int i = 0; i < n; i++) {
        char *path = ok ? pk_path_join(folder, entries[i]->d_name, e) : NULL;
        ok = path && pk_key_read_public((*xy)[i], path, e);
        free(path);
        free(entries[i]);
    }
    free(entries);
    free(folder);
    if (!ok) {
        free(*xy);
        *xy = NULL;
        return false;
    }
    *count = (size_t)n;
    return true;
}
