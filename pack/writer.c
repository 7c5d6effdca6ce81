/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "pack/writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/destination.h"
#include "pack/parallel.h"
#include "pack/sign.h"
#include "runtime/bundle_format.h"

#define LEAVES 64 /* hashed at once */
/* Written at once: pages of the system's cache are then as large as a processor's large pages, and a mapping of the
 * file costs a reader few look-ups of addresses. */
#define CHUNK (2u << 20)

struct pk_writer {
    char *path; /* for messages */
    struct pk_destination to;
    int failed; /* errno of the first write that did not work, or ECANCELED: nothing is written any more */
    _Atomic uint64_t position;
    struct archive *archive;
    uint8_t *chunk;  /* [CHUNK], what is at position % CHUNK bytes is not written yet */
    uint8_t *leaves; /* where the next digests go */
    unsigned threads;
    bool hollow;
    uint8_t *buffer; /* [LEAVES * MX_LEAF_BYTES] of the segment, to be hashed and written */
    size_t filled;
    uint8_t *other;   /* likewise; what is hashed and written while `buffer` is filled */
    pthread_t thread; /* that does it */
    bool writing;
    size_t to_write;
    bool written; /* whether it could be, once the thread has ended */
};

static bool fail_write(const struct pk_writer *w, struct pk_error *e) {
    const char *why = w->failed ? strerror(w->failed) : archive_error_string(w->archive);
    return pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be written: %s", w->path, why ? why : "unknown error");
}

/* The result of a call of libarchive, and of the writes that it made. */
static bool check(const struct pk_writer *w, bool ok, struct pk_error *e) {
    return (ok && !w->failed) || fail_write(w, e);
}

/* Writes the first `n` bytes of the chunk. */
static void write_chunk(struct pk_writer *w, size_t n) {
    const uint8_t *p = w->chunk;
    if (w->hollow && n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0) {
        w->failed = lseek(w->to.fd, (off_t)n, SEEK_CUR) < 0 ? errno : w->failed;
        n = 0;
    }
    while (n > 0 && !w->failed) {
        ssize_t done = write(w->to.fd, p, n);
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        } else if (done == 0 || errno != EINTR) {
            w->failed = done == 0 ? EIO : errno;
        }
    }
}

/* libarchive's way to the file. Failures are kept here: told of one, libarchive forgets to free what it holds. */
static la_ssize_t write_some(struct archive *a, void *user, const void *data, size_t n) {
    (void)a;
    struct pk_writer *w = user;
    const uint8_t *p = data;
    for (size_t left = n; left > 0;) {
        size_t at = w->position % CHUNK, some = left < CHUNK - at ? left : CHUNK - at;
        memcpy(w->chunk + at, p, some);
        p += some;
        left -= some;
        w->position += some;
        if (w->position % CHUNK == 0) {
            write_chunk(w, CHUNK);
        }
    }
    return (la_ssize_t)n;
}

struct pk_writer *pk_writer_open(const char *path, uint8_t *leaves, unsigned threads, struct pk_error *e) {
    struct pk_writer *w = calloc(1, sizeof(*w));
    if (!w) {
        return pk_fail_memory(e);
    }
    w->to.fd = -1;
    w->leaves = leaves;
    w->threads = threads;
    w->path = strdup(path);
    w->buffer = calloc(LEAVES, MX_LEAF_BYTES);
    w->other = calloc(LEAVES, MX_LEAF_BYTES);
    w->chunk = malloc(CHUNK);
    w->archive = archive_write_new();
    if (!w->path || !w->buffer || !w->other || !w->chunk || !w->archive) {
        pk_writer_close(w);
        return pk_fail_memory(e);
    }
    // not a pipe or a terminal: the index is written last, and stands first
    const bool opened = pk_destination_open(&w->to, path);
    if (!opened || lseek(w->to.fd, 0, SEEK_CUR) != 0) {
        pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be created: %s", path, opened ? "not a file" : strerror(errno));
        pk_writer_close(w);
        return NULL;
    }
    // No blocking: what libarchive writes is the archive and nothing behind its two zero blocks.
    if (archive_write_set_format_ustar(w->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(w->archive, 0) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(w->archive, 1) != ARCHIVE_OK ||
        archive_write_open(w->archive, w, NULL, write_some, NULL) != ARCHIVE_OK) {
        fail_write(w, e);
        pk_writer_close(w);
        return NULL;
    }
    return w;
}

/* Waits until all of the archive's data so far is written. */
static bool settle(struct pk_writer *w, struct pk_error *e) {
    if (!w->writing) {
        return true;
    }
    pthread_join(w->thread, NULL);
    w->writing = false;
    return check(w, w->written, e);
}

bool pk_writer_member(struct pk_writer *w, const char *name, uint64_t bytes, struct pk_error *e) {
    if (!settle(w, e)) {
        return false;
    }
    struct archive_entry *entry = archive_entry_new();
    if (!entry) {
        return pk_fail_memory(e) != NULL;
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)bytes);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 0, 0);
    int result = archive_write_header(w->archive, entry);
    archive_entry_free(entry);
    return check(w, result == ARCHIVE_OK, e);
}

static bool write_bytes(struct pk_writer *w, const void *data, size_t n, struct pk_error *e) {
    return n == 0 || (settle(w, e) && check(w, archive_write_data(w->archive, data, n) == (la_ssize_t)n, e));
}

bool pk_writer_plain(struct pk_writer *w, const void *data, uint64_t n, struct pk_error *e) {
    static const uint8_t zeros[65536];
    if (data) {
        return write_bytes(w, data, n, e);
    }
    for (uint64_t done = 0; done < n;) {
        size_t piece = n - done < sizeof(zeros) ? n - done : sizeof(zeros);
        if (!write_bytes(w, zeros, piece, e)) {
            return false;
        }
        done += piece;
    }
    return true;
}

static bool hash_leaf(void *user, size_t i) {
    static const uint8_t domain[64] = MX_DOMAIN_LEAF;
    struct pk_writer *w = user;
    size_t at = i * MX_LEAF_BYTES, left = w->to_write - at;
    pk_sha256(domain, sizeof(domain), w->other + at, left < MX_LEAF_BYTES ? left : MX_LEAF_BYTES, w->leaves + 32 * i);
    return true;
}

static void *write_other(void *user) {
    struct pk_writer *w = user;
    const size_t leaves = (w->to_write + MX_LEAF_BYTES - 1) / MX_LEAF_BYTES;
    if (w->hollow) {
        memset(w->leaves, 0, 32 * leaves);
    } else {
        pk_parallel(leaves, w->threads, hash_leaf, w);
    }
    w->leaves += 32 * leaves;
    w->written = archive_write_data(w->archive, w->other, w->to_write) == (la_ssize_t)w->to_write;
    return NULL;
}

/* Hashes and writes what the buffer holds: whole leaves, or the end of a segment. That goes on after the return; a
 * failure is then one of the next call. */
static bool empty_buffer(struct pk_writer *w, struct pk_error *e) {
    if (!settle(w, e)) {
        return false;
    }
    if (w->filled == 0) { // a segment's end that fell on a full buffer
        return true;
    }
    uint8_t *full = w->buffer;
    w->buffer = w->other;
    w->other = full;
    w->to_write = w->filled;
    w->filled = 0;
    w->writing = pthread_create(&w->thread, NULL, write_other, w) == 0;
    if (!w->writing) { // a thread that cannot be had is done without
        write_other(w);
    }
    return w->writing || check(w, w->written, e);
}

bool pk_writer_put(struct pk_writer *w, const void *data, uint64_t n, struct pk_error *e) {
    const uint8_t *p = data;
    while (n > 0) {
        const size_t room = (size_t)LEAVES * MX_LEAF_BYTES - w->filled, take = n < room ? (size_t)n : room;
        if (p) {
            memcpy(w->buffer + w->filled, p, take);
            p += take;
        } else {
            memset(w->buffer + w->filled, 0, take);
        }
        w->filled += take;
        n -= take;
        if (take == room && !empty_buffer(w, e)) {
            return false;
        }
    }
    return true;
}

bool pk_writer_end_segment(struct pk_writer *w, struct pk_error *e) {
    return empty_buffer(w, e);
}

void pk_writer_hollow(struct pk_writer *w) {
    w->hollow = true;
}

uint64_t pk_writer_position(const struct pk_writer *w) {
    return w->position;
}

bool pk_writer_end(struct pk_writer *w, struct pk_error *e) {
    if (!settle(w, e)) {
        return false;
    }
    bool ok = archive_write_close(w->archive) == ARCHIVE_OK;
    write_chunk(w, w->position % CHUNK);
    if (w->hollow && ftruncate(w->to.fd, (off_t)w->position) != 0) { // it may end with a hole
        w->failed = errno;
    }
    return check(w, ok, e);
}

bool pk_writer_patch(struct pk_writer *w, uint64_t offset, const void *data, uint64_t n, struct pk_error *e) {
    const uint8_t *p = data;
    while (n > 0) {
        ssize_t done = pwrite(w->to.fd, p, n, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            w->failed = done == 0 ? EIO : errno;
            return fail_write(w, e);
        }
        p += done;
        offset += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return true;
}

bool pk_writer_commit(struct pk_writer *w, struct pk_error *e) {
    return pk_destination_commit(&w->to) ||
           pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be written: %s", w->path, strerror(errno));
}

void pk_writer_close(struct pk_writer *w) {
    if (!w) {
        return;
    }
    struct pk_error unheard = {0};
    settle(w, &unheard);
    if (w->archive) {
        w->failed = ECANCELED;
        archive_write_free(w->archive);
    }
    pk_destination_close(&w->to);
    free(w->path);
    free(w->other);
    free(w->buffer);
    free(w->chunk);
    free(w);
}
