/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 // realpath, strdup, strndup
#include "pack/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/archive.h"

#define LIST_MAX 100000u

struct pk_folder {
    char *path;
    bool is_archive;
    struct pk_file file; /* the archive */
    struct pk_archive archive;
    char *root; /* folder in the archive, with its '/'; "" for the top */
};

/* Files that a checkpoint consists of, as far as they are read here. */
static bool is_wanted(const char *path) {
    static const char *const ends[] = {".safetensors", ".bin",   ".gguf",     ".json",
                                       ".txt",         ".model", ".tiktoken", ".jinja"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool wanted = strncmp(name, "LICEN", 5) == 0;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        wanted = wanted || pk_ends_with(name, ends[i]);
    }
    return wanted;
}

static unsigned depth(const char *path) {
    unsigned n = 0;
    for (; *path; path++) {
        n += *path == '/';
    }
    return n;
}

/* The member nearest to the top that is called `name`, or (ending) ends so; two at the same depth in different folders
 * are an error. */
static bool nearest(const struct pk_folder *d, const char *name, bool ending, const char **found, struct pk_error *e) {
    *found = NULL;
    for (size_t i = 0; i < d->archive.n_members; i++) {
        const char *path = d->archive.members[i].name, *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        if (ending ? !pk_ends_with(base, name) : strcmp(base, name) != 0) {
            continue;
        }
        const size_t folder = (size_t)(base - path);
        if (*found && depth(*found) == depth(path) && strncmp(*found, path, folder) != 0) {
            return pk_fail(e, MOXIE_ERROR_FORMAT, "%s holds two checkpoints: %s and %s", d->path, *found, path);
        }
        if (!*found || depth(path) < depth(*found)) {
            *found = path;
        }
    }
    return true;
}

static bool find_root(struct pk_folder *d, struct pk_error *e) {
    const char *found;
    if (!nearest(d, "config.json", false, &found, e) || (!found && !nearest(d, ".gguf", true, &found, e))) {
        return false;
    }
    if (!found) {
        return pk_fail(e, MOXIE_ERROR_FILE, "%s: an archive without config.json or a GGUF file", d->path);
    }
    const char *slash = strrchr(found, '/');
    d->root = strndup(found, slash ? (size_t)(slash + 1 - found) : 0);
    return d->root || pk_fail_memory(e);
}

struct pk_folder *pk_folder_open(const char *path, struct pk_error *e) {
    struct pk_folder *d = calloc(1, sizeof(*d));
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return pk_fail_memory(e);
    }
    d->file.fd = d->archive.temporary.fd = -1;
    d->is_archive = !pk_path_is_folder(path);
    if (d->is_archive && (!pk_file_open(&d->file, path, e) || !pk_archive_read(&d->archive, &d->file, is_wanted, e) ||
                          !find_root(d, e))) {
        pk_folder_close(d);
        return NULL;
    }
    return d;
}

void pk_folder_close(struct pk_folder *d) {
    if (d) {
        pk_archive_free(&d->archive);
        pk_file_close(&d->file);
        free(d->root);
        free(d->path);
        free(d);
    }
}

char *pk_folder_path(const struct pk_folder *d, const char *name, struct pk_error *e) {
    if (!d->is_archive) {
        return pk_path_join(d->path, name, e);
    }
    size_t n = strlen(d->path) + strlen(d->root) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path) {
        return pk_fail_memory(e);
    }
    snprintf(path, n, "%s:%s%s", d->path, d->root, name);
    return path;
}

/* The member `name` of the checkpoint in an archive; NULL: none. */
static const struct pk_member *find(const struct pk_folder *d, const char *name) {
    char path[2048];
    int n = snprintf(path, sizeof(path), "%s%s", d->root, name);
    return n > 0 && (size_t)n < sizeof(path) ? pk_archive_find(&d->archive, path) : NULL;
}

bool pk_folder_has(const struct pk_folder *d, const char *name) {
    if (d->is_archive) {
        return find(d, name) != NULL;
    }
    char *path = pk_path_join(d->path, name, NULL);
    bool there = path && pk_path_exists(path);
    free(path);
    return there;
}

bool pk_folder_file(const struct pk_folder *d, const char *name, struct pk_file *f, struct pk_error *e) {
    char *path = pk_folder_path(d, name, e);
    *f = (struct pk_file){.fd = -1};
    bool ok = path != NULL;
    if (ok && d->is_archive) {
        const struct pk_member *m = find(d, name);
        ok = m ? pk_archive_open(&d->archive, &d->file, m, path, f, e)
               : pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot open: not in the archive", path);
    } else if (ok) {
        ok = pk_file_open(f, path, e);
    }
    free(path);
    return ok;
}

char *pk_folder_load(const struct pk_folder *d, const char *name, uint64_t max, uint64_t *bytes, struct pk_error *e) {
    struct pk_file f;
    if (!pk_folder_file(d, name, &f, e)) {
        return NULL;
    }
    char *text = pk_file_text(&f, max, bytes, e);
    pk_file_close(&f);
    return text;
}

/* ---- Lists ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends a copy of `name` to *names, which ends with NULL. */
static bool append(char ***names, int *n, const char *name, struct pk_error *e) {
    if ((unsigned)*n == LIST_MAX) {
        return pk_fail(e, MOXIE_ERROR_BOUNDS, "more than %u files", LIST_MAX);
    }
    char **larger = realloc(*names, ((size_t)*n + 2) * sizeof(*larger));
    if (!larger) {
        return pk_fail_memory(e) != NULL;
    }
    *names = larger;
    larger[*n + 1] = NULL;
    if (!(larger[*n] = strdup(name))) {
        return pk_fail_memory(e) != NULL;
    }
    ++*n;
    return true;
}

static bool list_members(const struct pk_folder *d, const char *end, char ***names, int *n, struct pk_error *e) {
    const size_t root = strlen(d->root);
    bool ok = true;
    for (size_t i = 0; ok && i < d->archive.n_members; i++) {
        const char *path = d->archive.members[i].name;
        if (strncmp(path, d->root, root) == 0 && !strchr(path + root, '/') && pk_ends_with(path + root, end)) {
            ok = append(names, n, path + root, e);
        }
    }
    return ok;
}

static bool list_folder(const struct pk_folder *d, const char *end, char ***names, int *n, struct pk_error *e) {
    DIR *dir = opendir(d->path);
    if (!dir) {
        return pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be listed", d->path);
    }
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        if (entry->d_name[0] != '.' && pk_ends_with(entry->d_name, end)) {
            ok = append(names, n, entry->d_name, e);
        }
    }
    closedir(dir);
    return ok;
}

int pk_folder_list(const struct pk_folder *d, const char *end, char ***names, struct pk_error *e) {
    int n = 0;
    *names = NULL;
    if (!(d->is_archive ? list_members(d, end, names, &n, e) : list_folder(d, end, names, &n, e))) {
        pk_folder_list_free(*names);
        *names = NULL;
        return -1;
    }
    if (n) {
        qsort(*names, (size_t)n, sizeof(**names), by_text);
    }
    return n;
}

void pk_folder_list_free(char **names) {
    for (char **name = names; name && *name; name++) {
        free(*name);
    }
    free(names);
}

/* ---- Names ---- */

char *pk_folder_name(const struct pk_folder *d, struct pk_error *e) {
    static const char *const ends[] = {".zst", ".gz", ".xz", ".bz2", ".lz4", ".tar", ".tgz", ".zip", NULL};
    char *real = realpath(d->path, NULL);
    if (!real) {
        pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot resolve the path", d->path);
        return NULL;
    }
    const char *slash = strrchr(real, '/');
    char *name = strdup(slash && slash[1] ? slash + 1 : real);
    for (size_t i = 0; name && d->is_archive && ends[i]; i++) {
        if (pk_ends_with(name, ends[i])) {
            name[strlen(name) - strlen(ends[i])] = '\0';
        }
    }
    free(real);
    return name ? name : pk_fail_memory(e);
}

uint64_t pk_folder_unpacked(const struct pk_folder *d) {
    return d->archive.temporary.bytes;
}
