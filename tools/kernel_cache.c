/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // stat
#include "tools/kernel_cache.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kernel_cache_open(struct kernel_cache *cache) {
    struct stat st;
    bool ours = path_cache(cache->folder, "kernels") && path_make_folder(cache->folder) &&
                stat(cache->folder, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022);
    if (!ours) {
        cache->folder[0] = '\0';
    }
}

static bool path_of(const struct kernel_cache *cache, const uint8_t key[32], char path[PATH_BYTES]) {
    char name[64 + sizeof ".bin"];
    for (int i = 0; i < 32; i++) {
        snprintf(name + 2 * (size_t)i, 3, "%02x", key[i]);
    }
    memcpy(name + 64, ".bin", sizeof ".bin"); // without: files of earlier versions, which had a hash more
    return cache->folder[0] && path_join(path, cache->folder, name);
}

size_t kernel_cache_load(const struct kernel_cache *cache, const uint8_t key[32], void *bytes, size_t max) {
    char path[PATH_BYTES];
    FILE *f = path_of(cache, key, path) ? fopen(path, "rb") : NULL;
    if (!f) {
        return 0;
    }
    const size_t n = fread(bytes, 1, max, f);
    const bool whole = n && fgetc(f) == EOF && !ferror(f);
    fclose(f);
    if (whole) {
        return n;
    }
    unlink(path); // built anew and stored again
    return 0;
}

void kernel_cache_store(const struct kernel_cache *cache, const uint8_t key[32], const void *bytes, size_t count) {
    char path[PATH_BYTES];
    struct out_file f;
    if (!path_of(cache, key, path) || !out_file_open(&f, path)) {
        return;
    }
    if (fwrite(bytes, 1, count, f.file) == count) {
        out_file_commit(&f);
    } else {
        out_file_discard(&f);
    }
}
