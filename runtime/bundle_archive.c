/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive around a bundle. One layout is possible for given members, so it is computed and compared. */
#include <string.h>

#include "runtime/bundle_check.h"

/* The three members that no segment lies in. */
enum { PLAIN_MEMBERS = 3 };
static const char *const plain_names[PLAIN_MEMBERS] = {"manifest", "signature", "tree"};

static void octal(uint8_t *field, unsigned digits, uint64_t value) {
    for (unsigned i = digits; i-- > 0; value /= 8) {
        field[i] = (uint8_t)('0' + value % 8);
    }
}

void mx_ustar_header(uint8_t header[MX_BLOCK], const char *name, uint64_t size) {
    memset(header, 0, MX_BLOCK);
    memcpy(header, name, strlen(name));
    memcpy(header + 100, "000644 \000000000 \000000000 ", 23); /* mode, owner, group */
    octal(header + 124, 11, size);
    memcpy(header + 135, " 00000000000 ", 13); /* time */
    memset(header + 148, ' ', 8);              /* the checksum counts itself as blanks */
    header[156] = '0';                         /* a regular file */
    memcpy(header + 257, "ustar\00000", 8);
    memcpy(header + 329, "000000 ", 7);
    memcpy(header + 337, "000000 ", 7);
    uint32_t sum = 0;
    for (unsigned i = 0; i < MX_BLOCK; i++) {
        sum += header[i];
    }
    octal(header + 148, 6, sum);
    header[154] = 0;
}

enum moxie_error mx_check_header(const struct mx_bundle *b, uint64_t at, const char *name, uint64_t size,
                                 struct moxie_failure *f) {
    if (at > b->size || b->size - at < MX_BLOCK) {
        return mx_fail(f, MOXIE_ERROR_TRUNCATED, b->size, "the file ends before the header of member '%s'", name);
    }
    uint8_t expected[MX_BLOCK];
    mx_ustar_header(expected, name, size);
    for (unsigned i = 0; i < MX_BLOCK; i++) {
        if (b->bytes[at + i] != expected[i]) {
            return mx_fail(f, MOXIE_ERROR_FORMAT, at + i,
                           "the header of member '%s' with %llu bytes differs at byte %u", name,
                           (unsigned long long)size, i);
        }
    }
    return MOXIE_OK;
}

/* Appends decimal digits of `value`, at least `least`. */
static char *put_number(char *at, uint32_t value, unsigned least) {
    char digits[10];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value || n < least);
    while (n > 0) {
        *at++ = digits[--n];
    }
    *at = 0;
    return at;
}

/* Name of the member that begins with segment `s`, the part-th of its group. */
static void member_name(char name[40], const struct mx_segment *s, uint32_t part) {
    memset(name, 0, 40);
    char *at;
    if (s->kind == MX_SEGMENT_LAYER || s->kind == MX_SEGMENT_EXPERT) {
        memcpy(name, "layer.", 6);
        at = put_number(name + 6, s->layer, 3);
    } else {
        const char *group = s->kind == MX_SEGMENT_DENSE ? "dense" : "host";
        memcpy(name, group, strlen(group));
        at = name + strlen(group);
    }
    if (part) {
        *at++ = '.';
        put_number(at, part, 1);
    }
}

/* The same group of members: host, one layer, or dense. */
static bool same_group(const struct mx_segment *a, const struct mx_segment *b) {
    bool host_a = a->kind <= MX_SEGMENT_LICENSE, host_b = b->kind <= MX_SEGMENT_LICENSE;
    bool dense_a = a->kind == MX_SEGMENT_DENSE, dense_b = b->kind == MX_SEGMENT_DENSE;
    return host_a == host_b && dense_a == dense_b && a->layer == b->layer;
}

/* Walks along the file while the members are checked. */
struct walk {
    const struct mx_bundle *b;
    uint64_t at; /* end of what was checked, a multiple of 512 */
    uint32_t fillers;
    uint32_t segment; /* first one of the next member */
    uint32_t part;    /* members of the current group so far */
};

static enum moxie_error check_zeros(const struct mx_bundle *b, uint64_t at, uint64_t n, const char *what,
                                    struct moxie_failure *f) {
    if (at > b->size || n > b->size - at) {
        return mx_fail(f, MOXIE_ERROR_TRUNCATED, b->size, "the file ends inside %s", what);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (b->bytes[at + i]) {
            return mx_fail(f, MOXIE_ERROR_FORMAT, at + i, "a byte of %s is not zero", what);
        }
    }
    return MOXIE_OK;
}

/* The filler that puts the next member's data on a multiple of 64 KiB, if one is needed. */
static enum moxie_error check_filler(struct walk *w, struct moxie_failure *f) {
    uint64_t data = mx_round_up(w->at + MX_BLOCK, MX_MEMBER_ALIGN), gap = data - MX_BLOCK - w->at;
    if (gap == 0) {
        return MOXIE_OK;
    }
    char name[40] = "pad.";
    put_number(name + 4, w->fillers++, 1);
    enum moxie_error e = mx_check_header(w->b, w->at, name, gap - MX_BLOCK, f);
    if (!e) {
        e = check_zeros(w->b, w->at + MX_BLOCK, gap - MX_BLOCK, "a filler", f);
    }
    w->at += gap;
    return e;
}

/* Member `m` holds whole segments of one group; takes them. */
static enum moxie_error check_content(struct walk *w, const struct mx_member *m, struct moxie_failure *f) {
    const struct mx_bundle *b = w->b;
    const struct mx_segment *first = &b->segments[w->segment];
    uint64_t bytes = 0;
    uint32_t n = w->segment;
    while (n < b->manifest->segments && same_group(first, &b->segments[n]) && bytes < m->bytes) {
        const struct mx_segment *s = &b->segments[n];
        const uint64_t at = m->offset + bytes;
        if (s->offset != at || s->bytes > m->bytes - bytes) {
            return mx_fail(f, MOXIE_ERROR_BOUNDS, mx_offset_of(b, s),
                           "segment %u is at %llu with %llu bytes, expected at %llu inside member '%.*s'", n,
                           (unsigned long long)s->offset, (unsigned long long)s->bytes, (unsigned long long)at,
                           (int)sizeof m->name, m->name);
        }
        bytes += s->bytes;
        n++;
    }
    if (n == w->segment || bytes != m->bytes) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m), "member '%.*s' does not consist of whole segments",
                       (int)sizeof m->name, m->name);
    }
    w->part = n < b->manifest->segments && same_group(first, &b->segments[n]) ? w->part + 1 : 0;
    w->segment = n;
    return MOXIE_OK;
}

static enum moxie_error check_member(struct walk *w, uint32_t i, struct moxie_failure *f) {
    const struct mx_bundle *b = w->b;
    const struct mx_member *m = &b->members[i];
    char name[40] = {0};
    if (i < PLAIN_MEMBERS) {
        memcpy(name, plain_names[i], strlen(plain_names[i]));
    } else if (w->segment < b->manifest->segments) {
        member_name(name, &b->segments[w->segment], w->part);
    } else {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m), "member %u comes after the last segment", i);
    }
    if (memcmp(name, m->name, sizeof name) != 0 || (b->manifest->minor <= MX_BUNDLE_MINOR && m->reserved)) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m), "member %u is '%.*s', expected '%s'", i,
                       (int)sizeof m->name, m->name, name);
    }
    enum moxie_error e = i < PLAIN_MEMBERS ? MOXIE_OK : check_filler(w, f);
    if (e) {
        return e;
    }
    const uint64_t data = w->at + MX_BLOCK;
    if (m->offset != data || m->bytes > MX_MEMBER_MAX || data > b->size || m->bytes > b->size - data) {
        return mx_fail(f, MOXIE_ERROR_BOUNDS, mx_offset_of(b, m),
                       "member '%s' is at %llu with %llu bytes, expected at %llu inside %llu bytes", name,
                       (unsigned long long)m->offset, (unsigned long long)m->bytes, (unsigned long long)data,
                       (unsigned long long)b->size);
    }
    e = mx_check_header(b, w->at, name, m->bytes, f);
    if (!e && i >= PLAIN_MEMBERS) {
        e = check_content(w, m, f);
    }
    const uint64_t end = data + m->bytes;
    w->at = mx_round_up(end, MX_BLOCK);
    return e ? e : check_zeros(b, end, w->at - end, "the padding of a member", f);
}

enum moxie_error mx_check_archive(struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_manifest *m = b->manifest;
    if (m->members < PLAIN_MEMBERS + 1) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, &m->members), "%u members, expected at least %d",
                       m->members, PLAIN_MEMBERS + 1);
    }
    if (b->members[0].bytes != m->manifest_bytes || b->members[1].bytes != sizeof(struct mx_signature) ||
        m->leaves > UINT32_MAX || b->members[2].bytes != m->leaves * 32) {
        return mx_fail(f, MOXIE_ERROR_BOUNDS, mx_offset_of(b, b->members),
                       "manifest, signature and tree have %llu, %llu and %llu bytes, which is not their size",
                       (unsigned long long)b->members[0].bytes, (unsigned long long)b->members[1].bytes,
                       (unsigned long long)b->members[2].bytes);
    }
    struct walk w = {.b = b};
    for (uint32_t i = 0; i < m->members; i++) {
        enum moxie_error e = check_member(&w, i, f);
        if (e) {
            return e;
        }
    }
    b->leaves = b->bytes + b->members[2].offset;
    if (w.segment != m->segments) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, &b->segments[w.segment]), "segment %u lies in no member",
                       w.segment);
    }
    enum moxie_error e = check_zeros(b, w.at, 2ull * MX_BLOCK, "the two blocks that end the archive", f);
    if (!e && w.at + 2ull * MX_BLOCK != b->size) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, w.at + 2ull * MX_BLOCK, "bytes after the end of the archive");
    }
    return e;
}
