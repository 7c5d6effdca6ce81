/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // O_TMPFILE, mkostemp, strdup
#define _FILE_OFFSET_BITS 64
#include "pack/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS_MAX (1u << 20)
#define NAME_MAX_BYTES 1000u
#define CHUNK 16384

/* A piece of a member's data, valid until the next one is read. */
struct piece {
    const void *data;
    size_t n;
    la_int64_t offset; // in the member
    int result;        // ARCHIVE_OK; ARCHIVE_EOF: there is no more
};

/* libarchive's view of the file. */
struct reader {
    const struct pk_file *f;
    struct archive *archive;
    struct pk_archive *out;
    bool (*wanted)(const char *name);
    uint64_t at;
    uint8_t chunk[CHUNK];
    struct pk_error *e;
};

static la_ssize_t read_some(struct archive *a, void *user, const void **data) {
    struct reader *r = user;
    const uint64_t left = r->f->bytes - r->at, n = left < CHUNK ? left : CHUNK;
    struct pk_error e = {0};
    if (!pk_file_read(r->f, r->at, r->chunk, n, &e)) {
        archive_set_error(a, EIO, "%s", e.text);
        return -1;
    }
    r->at += n;
    *data = r->chunk;
    return (la_ssize_t)n;
}

static la_int64_t skip_some(struct archive *a, void *user, la_int64_t n) {
    struct reader *r = user;
    const uint64_t left = r->f->bytes - r->at, take = n < 0 ? 0 : (uint64_t)n < left ? (uint64_t)n : left;
    (void)a;
    r->at += take;
    return (la_int64_t)take;
}

static la_int64_t seek_to(struct archive *a, void *user, la_int64_t offset, int whence) {
    struct reader *r = user;
    const la_int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (la_int64_t)r->at : (la_int64_t)r->f->bytes;
    la_int64_t at;
    if (__builtin_add_overflow(base, offset, &at) || at < 0 || (uint64_t)at > r->f->bytes) {
        archive_set_error(a, EINVAL, "a place outside the file");
        return ARCHIVE_FATAL;
    }
    r->at = (uint64_t)at;
    return at;
}

static bool fail_archive(const struct reader *r, const char *name) {
    const char *why = archive_error_string(r->archive);
    if (why && strstr(why, "Unrecognized")) {
        why = "neither a tar nor a zip archive, nor a GGUF file";
    }
    const bool cut = why && (strstr(why, "runcated") || strstr(why, "premature"));
    return pk_fail(r->e, cut ? MOXIE_ERROR_TRUNCATED : MOXIE_ERROR_FORMAT, "%s%s%s: %s", r->f->path, name ? ":" : "",
                   name ? name : "", why ? why : "not an archive");
}

/* ---- Unpacking ---- */

/* A file without a name where large temporary files belong. */
static int open_temporary(void) {
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (!folders[i] || !*folders[i]) {
            continue;
        }
        int fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        char path[4096];
        int n = snprintf(path, sizeof(path), "%s/moxie-XXXXXX", folders[i]);
        if (fd < 0 && n > 0 && (size_t)n < sizeof(path) && (fd = mkostemp(path, O_CLOEXEC)) >= 0) {
            unlink(path);
        }
        if (fd >= 0) {
            return fd;
        }
    }
    return -1;
}

static bool write_at(const struct reader *r, const void *data, size_t n, uint64_t at) {
    const uint8_t *p = data;
    while (n) {
        ssize_t done = pwrite(r->out->temporary.fd, p, n, (off_t)at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return pk_fail(r->e, MOXIE_ERROR_FILE,
                           "%s is compressed and cannot be unpacked to a temporary file: %s (set TMPDIR to a folder "
                           "with room)",
                           r->f->path, strerror(errno));
        }
        p += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return true;
}

static struct piece next_piece(const struct reader *r) {
    struct piece p = {0};
    p.result = archive_read_data_block(r->archive, &p.data, &p.n, &p.offset);
    return p;
}

/* Appends the member's data, of which `p` is the first piece, to the temporary file. */
static bool unpack(struct reader *r, struct pk_member *m, struct piece p) {
    struct pk_file *t = &r->out->temporary;
    if (t->fd < 0 && (!(t->path = strdup(r->f->path)) || (t->fd = open_temporary()) < 0)) {
        return pk_fail(r->e, MOXIE_ERROR_FILE, "%s is compressed: cannot create a temporary file: %s", r->f->path,
                       strerror(errno));
    }
    const uint64_t declared = m->bytes;
    m->start = t->bytes;
    for (m->bytes = 0; p.result == ARCHIVE_OK; p = next_piece(r)) {
        if (p.offset < 0 || (uint64_t)p.offset < m->bytes) {
            return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s:%s: its pieces overlap", r->f->path, m->name);
        }
        if (!write_at(r, p.data, p.n, m->start + (uint64_t)p.offset)) {
            return false;
        }
        m->bytes = (uint64_t)p.offset + p.n;
    }
    if (p.result != ARCHIVE_EOF) {
        return fail_archive(r, m->name);
    }
    if (m->bytes < declared) { // a sparse file may end in a hole
        m->bytes = declared;
        if (ftruncate(t->fd, (off_t)(m->start + declared)) != 0) {
            return pk_fail(r->e, MOXIE_ERROR_FILE, "%s:%s: %s", r->f->path, m->name, strerror(errno));
        }
    }
    m->kind = PK_MEMBER_UNPACKED;
    t->bytes += m->bytes;
    return true;
}

/* ---- Listing ---- */

/* Is the member, of which `p` is the first piece, stored as it is at `at`? Where libarchive stands after a header is
 * where the data begins, if nothing is compressed: checked by comparing what lies there. */
static bool is_stored(const struct reader *r, const struct pk_member *m, const struct piece *p, la_int64_t at) {
    uint8_t ours[512];
    const size_t n = p->n < sizeof(ours) ? p->n : sizeof(ours);
    struct pk_error unheard;
    if (at < 0 || p->result == ARCHIVE_EOF) {
        return at >= 0 && m->bytes == 0;
    }
    return p->result == ARCHIVE_OK && p->offset == 0 && n <= m->bytes &&
           pk_file_read(r->f, (uint64_t)at, ours, n, &unheard) && memcmp(ours, p->data, n) == 0;
}

/* Finds or unpacks the data of a member that is a file. */
static bool place(struct reader *r, struct pk_member *m, struct archive_entry *entry) {
    const bool plain = archive_filter_count(r->archive) == 1 && archive_entry_sparse_count(entry) == 0;
    const bool wanted = r->wanted && r->wanted(m->name);
    const la_int64_t at = archive_filter_bytes(r->archive, 0);
    m->bytes = archive_entry_size(entry) > 0 ? (uint64_t)archive_entry_size(entry) : 0;
    m->kind = PK_MEMBER_PACKED;
    if (!plain && !wanted) {
        return true;
    }
    const struct piece first = next_piece(r);
    if (!plain || !is_stored(r, m, &first, at)) {
        return !wanted || unpack(r, m, first);
    }
    m->kind = PK_MEMBER_STORED;
    m->start = (uint64_t)at;
    if (m->start > r->f->bytes || m->bytes > r->f->bytes - m->start) {
        return pk_fail(r->e, MOXIE_ERROR_TRUNCATED, "%s: member \"%s\": %llu bytes at offset %llu, the file has %llu",
                       r->f->path, m->name, (unsigned long long)m->bytes, (unsigned long long)m->start,
                       (unsigned long long)r->f->bytes);
    }
    return true;
}

/* The name without "./"; NULL when it leads elsewhere. */
static const char *safe_name(const char *name) {
    while (strncmp(name, "./", 2) == 0) {
        name += 2;
    }
    if (!*name || *name == '/' || strchr(name, '\\') || strlen(name) > NAME_MAX_BYTES) {
        return NULL;
    }
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2])) {
            return NULL;
        }
    }
    return name;
}

static bool grow(struct pk_archive *a, struct pk_error *e) {
    if (a->n_members & (a->n_members - 1)) {
        return true;
    }
    struct pk_member *larger = realloc(a->members, (a->n_members ? 2 * a->n_members : 1) * sizeof(*larger));
    if (!larger) {
        return pk_fail_memory(e) != NULL;
    }
    a->members = larger;
    return true;
}

static bool add(struct reader *r, struct archive_entry *entry) {
    const char *path = archive_entry_pathname(entry);
    path = path ? path : archive_entry_pathname_utf8(entry);
    const bool link = archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK;
    if (!path || (!link && archive_entry_filetype(entry) != AE_IFREG)) {
        return true;
    }
    const char *name = safe_name(path);
    if (!name) {
        return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: member \"%.200s\": a path that leads elsewhere", r->f->path,
                       path);
    }
    if (r->out->n_members == MEMBERS_MAX) {
        return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: more than %u members", r->f->path, MEMBERS_MAX);
    }
    if (!grow(r->out, r->e)) {
        return false;
    }
    struct pk_member *m = &r->out->members[r->out->n_members];
    *m = (struct pk_member){.name = strdup(name), .kind = PK_MEMBER_LINK};
    if (!m->name) {
        return pk_fail_memory(r->e) != NULL;
    }
    r->out->n_members++;
    return link || place(r, m, entry);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct pk_member *)a)->name, ((const struct pk_member *)b)->name);
}

static bool sort(struct pk_archive *a, const struct pk_file *f, struct pk_error *e) {
    if (a->n_members) {
        qsort(a->members, a->n_members, sizeof(*a->members), by_name);
    }
    for (size_t i = 1; i < a->n_members; i++) {
        if (by_name(&a->members[i - 1], &a->members[i]) == 0) {
            return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: member \"%s\" appears twice", f->path, a->members[i].name);
        }
    }
    return true;
}

/* Only what checkpoints come in. */
static bool open_archive(struct reader *r) {
    struct archive *a = r->archive;
    return archive_read_support_format_tar(a) >= ARCHIVE_WARN && archive_read_support_format_zip(a) >= ARCHIVE_WARN &&
           archive_read_support_filter_gzip(a) >= ARCHIVE_WARN && archive_read_support_filter_zstd(a) >= ARCHIVE_WARN &&
           archive_read_support_filter_xz(a) >= ARCHIVE_WARN && archive_read_support_filter_bzip2(a) >= ARCHIVE_WARN &&
           archive_read_support_filter_lz4(a) >= ARCHIVE_WARN &&
           archive_read_set_read_callback(a, read_some) == ARCHIVE_OK &&
           archive_read_set_skip_callback(a, skip_some) == ARCHIVE_OK &&
           archive_read_set_seek_callback(a, seek_to) == ARCHIVE_OK &&
           archive_read_set_callback_data(a, r) == ARCHIVE_OK && archive_read_open1(a) == ARCHIVE_OK;
}

bool pk_archive_read(struct pk_archive *a, const struct pk_file *f, bool (*wanted)(const char *name),
                     struct pk_error *e) {
    *a = (struct pk_archive){.temporary.fd = -1};
    struct reader r = {.f = f, .archive = archive_read_new(), .out = a, .wanted = wanted, .e = e};
    if (!r.archive) {
        return pk_fail_memory(e) != NULL;
    }
    bool ok = open_archive(&r) || fail_archive(&r, NULL);
    while (ok) {
        struct archive_entry *entry;
        int result = archive_read_next_header(r.archive, &entry);
        if (result == ARCHIVE_EOF) {
            break;
        }
        ok = result >= ARCHIVE_WARN ? add(&r, entry) : fail_archive(&r, NULL);
    }
    archive_read_free(r.archive);
    return ok && sort(a, f, e);
}

void pk_archive_free(struct pk_archive *a) {
    for (size_t i = 0; i < a->n_members; i++) {
        free(a->members[i].name);
    }
    free(a->members);
    pk_file_close(&a->temporary);
    *a = (struct pk_archive){.temporary.fd = -1};
}

const struct pk_member *pk_archive_find(const struct pk_archive *a, const char *name) {
    struct pk_member key = {.name = (char *)name};
    return a->n_members ? bsearch(&key, a->members, a->n_members, sizeof(key), by_name) : NULL;
}

bool pk_archive_open(const struct pk_archive *a, const struct pk_file *f, const struct pk_member *m, const char *path,
                     struct pk_file *out, struct pk_error *e) {
    *out = (struct pk_file){.fd = -1};
    if (m->kind == PK_MEMBER_PACKED || m->kind == PK_MEMBER_LINK) {
        return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: is %s", path,
                       m->kind == PK_MEMBER_LINK ? "a link to another file, which is not followed"
                                                 : "compressed or in pieces, where it has to be stored as it is");
    }
    return pk_file_part(out, m->kind == PK_MEMBER_STORED ? f : &a->temporary, m->start, m->bytes, path, e);
}
