/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash tree, on the host. */
#include <string.h>

#include "runtime/bundle_check.h"
#include "runtime/crypto.h"

#define TELL_BYTES (16u << 20) /* hashed between two reports */

/* A hash that starts with the 64-byte block of its domain. */
static void begin(struct mx_sha256 *h, const char *domain) {
    char block[64] = {0};
    memcpy(block, domain, strlen(domain));
    mx_sha256_init(h);
    mx_sha256_update(h, block, sizeof block);
}

void mx_manifest_digest(const struct mx_manifest *m, uint8_t digest[32]) {
    struct mx_sha256 h;
    begin(&h, MX_DOMAIN_MANIFEST);
    mx_sha256_update(&h, m, (size_t)m->manifest_bytes);
    mx_sha256_finish(&h, digest);
}

struct mx_leaf mx_bundle_leaf(const struct mx_bundle *bundle, uint32_t segment, uint32_t i) {
    const struct mx_segment *s = &bundle->segments[segment];
    const uint64_t at = (uint64_t)i * MX_LEAF_BYTES, left = s->bytes - at;
    return (struct mx_leaf){.offset = s->offset + at,
                            .bytes = (uint32_t)(left < MX_LEAF_BYTES ? left : MX_LEAF_BYTES),
                            .digest = bundle->leaves + 32 * ((uint64_t)s->first_leaf + i)};
}

enum moxie_error mx_bundle_fail_leaf(const struct mx_bundle *bundle, uint32_t segment, uint32_t i,
                                     struct moxie_failure *failure) {
    const struct mx_segment *s = &bundle->segments[segment];
    const uint64_t at = mx_bundle_leaf(bundle, segment, i).offset;
    if (s->kind == MX_SEGMENT_EXPERT) {
        return mx_fail(failure, MOXIE_ERROR_HASH, at,
                       "layer %u, expert %u: 64 KiB from byte %llu of the file on are not what was signed", s->layer,
                       s->expert, (unsigned long long)at);
    }
    if (s->kind == MX_SEGMENT_LAYER) {
        return mx_fail(failure, MOXIE_ERROR_HASH, at,
                       "layer %u, attention: 64 KiB from byte %llu of the file on are not what was signed", s->layer,
                       (unsigned long long)at);
    }
    return mx_fail(failure, MOXIE_ERROR_HASH, at, "%s: 64 KiB from byte %llu of the file on are not what was signed",
                   s->kind == MX_SEGMENT_TOKENIZER ? "tokenizer"
                   : s->kind == MX_SEGMENT_LICENSE ? "licence"
                                                   : "embedding, head or final norm",
                   (unsigned long long)at);
}

static bool leaf_is_right(const struct mx_bundle *b, const struct mx_leaf *leaf) {
    struct mx_sha256 h;
    uint8_t digest[MX_SHA256_BYTES];
    begin(&h, MX_DOMAIN_LEAF);
    mx_sha256_update(&h, b->bytes + leaf->offset, leaf->bytes);
    mx_sha256_finish(&h, digest);
    return memcmp(digest, leaf->digest, sizeof digest) == 0;
}

/* Who wants to hear how far it is, and how far it is. */
struct listener {
    mx_progress_fn *progress; /* NULL: nobody */
    void *user;
    uint64_t done, total;
};

static enum moxie_error tell(struct listener *l, uint64_t more, struct moxie_failure *f) {
    l->done += more;
    if (l->progress && l->progress(l->user, l->done, l->total)) {
        return mx_fail(f, MOXIE_ERROR_CANCELLED, MX_NO_OFFSET, "verification was stopped");
    }
    return MOXIE_OK;
}

/* All leaves of a segment, and that it is padded with zeros. */
static enum moxie_error check_segment(const struct mx_bundle *b, uint32_t segment, struct listener *listener,
                                      struct moxie_failure *f) {
    const struct mx_segment *s = &b->segments[segment];
    const uint32_t leaves = mx_segment_leaves(s);
    uint64_t untold = 0;
    for (uint32_t i = 0; i < leaves; i++) {
        struct mx_leaf leaf = mx_bundle_leaf(b, segment, i);
        if (!leaf_is_right(b, &leaf)) {
            return mx_bundle_fail_leaf(b, segment, i, f);
        }
        untold += leaf.bytes;
        if (i + 1 == leaves || untold >= TELL_BYTES) {
            enum moxie_error e = tell(listener, untold, f);
            if (e) {
                return e;
            }
            untold = 0;
        }
    }
    if (!mx_all_zero(b->bytes + s->offset + s->used, s->bytes - s->used)) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, s->offset + s->used, "segment %u is not padded with zeros", segment);
    }
    return MOXIE_OK;
}

static void put_le(uint8_t *out, uint64_t value, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

static bool root_is_right(const struct mx_bundle *b, uint32_t segment) {
    const struct mx_segment *s = &b->segments[segment];
    uint8_t head[24], digest[MX_SHA256_BYTES];
    const uint32_t words[4] = {segment, s->kind, s->layer, s->expert};
    for (unsigned i = 0; i < 4; i++) {
        put_le(head + 4 * i, words[i], 4);
    }
    put_le(head + 16, s->bytes, 8);
    struct mx_sha256 h;
    begin(&h, MX_DOMAIN_SEGMENT);
    mx_sha256_update(&h, head, sizeof head);
    mx_sha256_update(&h, b->leaves + 32ull * s->first_leaf, 32ul * mx_segment_leaves(s));
    mx_sha256_finish(&h, digest);
    return memcmp(digest, s->root, sizeof digest) == 0;
}

enum moxie_error mx_check_roots(const struct mx_bundle *b, struct moxie_failure *f) {
    for (uint32_t i = 0; i < b->manifest->segments; i++) {
        if (!root_is_right(b, i)) {
            return mx_fail(f, MOXIE_ERROR_HASH, mx_offset_of(b, b->leaves + 32ull * b->segments[i].first_leaf),
                           "the leaves of segment %u (layer %d, expert %d) are not what was signed", i,
                           (int)b->segments[i].layer, (int)b->segments[i].expert);
        }
    }
    return MOXIE_OK;
}

enum moxie_error mx_check_host_segments(const struct mx_bundle *b, struct moxie_failure *f) {
    for (uint32_t i = 0; i < b->manifest->segments && b->segments[i].kind <= MX_SEGMENT_LICENSE; i++) {
        const struct mx_segment *s = &b->segments[i];
        enum moxie_error e = check_segment(b, i, &(struct listener){.progress = NULL}, f);
        if (e) {
            return e;
        }
        uint8_t digest[MX_SHA256_BYTES];
        mx_sha256(b->bytes + s->offset, (size_t)s->used, digest);
        if (s->kind == MX_SEGMENT_TOKENIZER && memcmp(digest, b->manifest->tokenizer_sha256, sizeof digest) != 0) {
            return mx_fail(f, MOXIE_ERROR_TOKENIZER, s->offset, "the tokenizer is not the one that the manifest names");
        }
    }
    return MOXIE_OK;
}

enum moxie_error mx_bundle_check_tree(const struct mx_bundle *b, struct moxie_failure *f) {
    uint8_t digest[MX_SHA256_BYTES];
    mx_manifest_digest(b->manifest, digest);
    if (memcmp(digest, b->digest, sizeof digest) != 0) {
        return mx_fail(f, MOXIE_ERROR_SIGNATURE, MX_BLOCK, "the manifest was changed after it had been opened");
    }
    return mx_check_roots(b, f);
}

enum moxie_error mx_bundle_verify_host(const struct mx_bundle *bundle, uint32_t first, uint32_t count,
                                       mx_progress_fn *progress, void *user, struct moxie_failure *failure) {
    const uint32_t segments = bundle->manifest->segments;
    if (first > segments || count > segments - first) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "segments %u and %u more, there are %u", first,
                       count, segments);
    }
    struct listener listener = {.progress = progress, .user = user};
    for (uint32_t i = first; i < first + count; i++) {
        listener.total += bundle->segments[i].bytes;
    }
    for (uint32_t i = first; i < first + count; i++) {
        enum moxie_error e = check_segment(bundle, i, &listener, failure);
        if (!e) {
            e = mx_bundle_check_values(bundle, i, failure);
        }
        if (e) {
            return e;
        }
    }
    return mx_bundle_check_tree(bundle, failure);
}
