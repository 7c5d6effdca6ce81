/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // strerrordesc_np: unlike strerror, not translated and safe in any thread
#include "pack/pk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPECT_PIECE (1u << 20) // Linux reads ahead about that much a call
#define READ_MAX (1u << 30)     // Linux moves at most 2 GiB - 4 KiB a call

static bool fail_errno(struct pk_error *e, const char *path, const char *what) {
    const char *why = strerrordesc_np(errno);
    return pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot %s: %s", path, what, why ? why : "unknown error");
}

bool pk_file_open(struct pk_file *f, const char *path, struct pk_error *e) {
    *f = (struct pk_file){.fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // O_NONBLOCK: do not hang on a pipe
    if (fd < 0) {
        return fail_errno(e, path, "open");
    }
    struct stat st;
    bool known = fstat(fd, &st) == 0;
    if (!known || !S_ISREG(st.st_mode)) {
        bool result =
            known ? pk_fail(e, MOXIE_ERROR_FILE, "%s: not a regular file", path) : fail_errno(e, path, "stat");
        close(fd);
        return result;
    }
    char *copy = strdup(path);
    if (!copy) {
        close(fd);
        pk_fail_memory(e);
        return false;
    }
    *f = (struct pk_file){.path = copy, .fd = fd, .bytes = (uint64_t)st.st_size};
    return true;
}

void pk_file_close(struct pk_file *f) {
    if (f->fd >= 0) {
        close(f->fd);
    }
    free(f->path);
    *f = (struct pk_file){.fd = -1};
}

bool pk_file_part(struct pk_file *f, const struct pk_file *whole, uint64_t start, uint64_t bytes, const char *path,
                  struct pk_error *e) {
    *f = (struct pk_file){.fd = -1};
    if (start > whole->bytes || bytes > whole->bytes - start) {
        return pk_fail(e, MOXIE_ERROR_TRUNCATED, "%s: %llu bytes at offset %llu of %s, which has %llu", path,
                       (unsigned long long)bytes, (unsigned long long)start, whole->path,
                       (unsigned long long)whole->bytes);
    }
    char *copy = strdup(path);
    if (!copy) {
        pk_fail_memory(e);
        return false;
    }
    int fd = fcntl(whole->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        free(copy);
        return fail_errno(e, path, "open");
    }
    *f = (struct pk_file){.path = copy, .fd = fd, .start = whole->start + start, .bytes = bytes};
    return true;
}

bool pk_file_read(const struct pk_file *f, uint64_t offset, void *dst, uint64_t n, struct pk_error *e) {
    if (offset > f->bytes || n > f->bytes - offset) {
        return pk_fail(e, MOXIE_ERROR_TRUNCATED, "%s: needs %llu bytes at offset %llu, the file has %llu", f->path,
                       (unsigned long long)n, (unsigned long long)offset, (unsigned long long)f->bytes);
    }
    uint8_t *p = dst;
    offset += f->start;
    while (n) {
        ssize_t got = pread(f->fd, p, n < READ_MAX ? (size_t)n : READ_MAX, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(e, f->path, "read");
        }
        if (got == 0) {
            return pk_fail(e, MOXIE_ERROR_TRUNCATED, "%s: became shorter while it was read: no byte at offset %llu",
                           f->path, (unsigned long long)(offset - f->start));
        }
        p += got;
        offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return true;
}

void pk_file_expect(const struct pk_file *f, uint64_t offset, uint64_t n) {
    const uint64_t end = offset <= f->bytes && n < f->bytes - offset ? offset + n : f->bytes;
    for (; offset < end; offset += EXPECT_PIECE) {
        const uint64_t piece = end - offset < EXPECT_PIECE ? end - offset : EXPECT_PIECE;
        posix_fadvise(f->fd, (off_t)(f->start + offset), (off_t)piece, POSIX_FADV_WILLNEED); // an advice: may fail
    }
}

char *pk_file_text(const struct pk_file *f, uint64_t max, uint64_t *bytes, struct pk_error *e) {
    char *text;
    if (f->bytes > max) {
        pk_fail(e, MOXIE_ERROR_BOUNDS, "%s: %llu bytes, at most %llu are expected", f->path,
                (unsigned long long)f->bytes, (unsigned long long)max);
        return NULL;
    }
    if (!(text = malloc(f->bytes + 1))) {
        return pk_fail_memory(e);
    }
    if (!pk_file_read(f, 0, text, f->bytes, e)) {
        free(text);
        return NULL;
    }
    text[f->bytes] = '\0';
    if (bytes) {
        *bytes = f->bytes;
    }
    return text;
}

char *pk_file_load(const char *path, uint64_t max, uint64_t *bytes, struct pk_error *e) {
    struct pk_file f;
    if (!pk_file_open(&f, path, e)) {
        return NULL;
    }
    char *text = pk_file_text(&f, max, bytes, e);
    pk_file_close(&f);
    return text;
}

char *pk_path_join(const char *folder, const char *name, struct pk_error *e) {
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path) {
        return pk_fail_memory(e);
    }
    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

bool pk_path_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

bool pk_path_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool pk_ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}
