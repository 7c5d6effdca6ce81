/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle, opened: a mapping whose every table has been checked, so that the rest of the runtime reads it without
 * checking again. pack/SPEC.md describes the bytes. Nothing is copied or allocated.
 *
 * What open promises: the manifest is signed by a pinned key; each table is well formed and all of them describe one
 * model, complete and without a byte left over; every offset lies in the bundle; the tree belongs to the manifest; the
 * tokenizer and the licence are what was signed. What it does not look at are the weights: mx_bundle_verify_host
 * hashes them here, mx_verify_on_device where they will be used. */
#ifndef MX_BUNDLE_H
#define MX_BUNDLE_H

#include "platform/fail.h"
#include "runtime/bundle_format.h"
#include "runtime/moxie.h"

struct mx_bundle {
    const uint8_t *bytes; /* the whole file, 8-byte aligned, little-endian like its reader */
    uint64_t size;
    const struct mx_manifest *manifest;
    const struct mx_member *members;
    const struct mx_layer *layers;     /* (manifest->layers) */
    const struct mx_segment *segments; /* (manifest->segments) in file order */
    const struct mx_tensor *tensors;   /* (manifest->tensors) */
    const uint8_t *leaves;             /* (manifest->leaves, 32) */
    const uint8_t *key_id;             /* (32) of the key that signed it */
    uint8_t digest[32];                /* of the manifest, which is what was signed */
};

/* Opens the `size` bytes at `bytes`, which must stay there unchanged as long as `bundle` is used. On failure `bundle`
 * is zeroed. Errors: of groups 2xx and 3xx, with the file offset where there is one. The callbacks of `trust` are not
 * called: the security counter is the caller's to compare. */
enum moxie_error mx_bundle_open(struct mx_bundle *bundle, const void *bytes, uint64_t size,
                                const struct moxie_trust *trust, struct moxie_failure *failure);

/* The n-th tensor of `role` in `layer` (MX_NONE for the model's own), in order of row_offset; NULL: there is none. */
const struct mx_tensor *mx_bundle_find(const struct mx_bundle *bundle, enum mx_role role, uint32_t layer, uint32_t n);

/* The first segment of `kind`; NULL: there is none (a bundle may lack the tokenizer and the licence). */
const struct mx_segment *mx_bundle_segment(const struct mx_bundle *bundle, enum mx_segment_kind kind);

/* A leaf of the hash tree: up to 64 KiB of a segment. */
struct mx_leaf {
    uint64_t offset; /* in the bundle */
    uint32_t bytes;
    const uint8_t *digest; /* (32) expected */
};

static inline uint32_t mx_segment_leaves(const struct mx_segment *s) {
    return (uint32_t)((s->bytes + MX_LEAF_BYTES - 1) / MX_LEAF_BYTES);
}

/* Leaf `i` < mx_segment_leaves of segment `segment`. */
struct mx_leaf mx_bundle_leaf(const struct mx_bundle *bundle, uint32_t segment, uint32_t i);

/* MOXIE_ERROR_HASH for leaf `i` of `segment`, in words that name its layer and expert. */
enum moxie_error mx_bundle_fail_leaf(const struct mx_bundle *bundle, uint32_t segment, uint32_t i,
                                     struct moxie_failure *failure);

/* Told bytes done and bytes in all after every segment, and every 16 MiB of it; a result other than 0 stops with
 * CANCELLED. */
typedef int mx_progress_fn(void *user, uint64_t done, uint64_t total);

/* Hashes `count` segments from `first` on, leaf by leaf, and then looks at their values (mx_bundle_check_values). */
enum moxie_error mx_bundle_verify_host(const struct mx_bundle *bundle, uint32_t first, uint32_t count,
                                       mx_progress_fn *progress, void *user, struct moxie_failure *failure);

/* Whether manifest, tables and tree still are what was signed, once leaves were compared with them: they lie in the
 * same mapping as the weights. MOXIE_ERROR_SIGNATURE or MOXIE_ERROR_HASH when not. */
enum moxie_error mx_bundle_check_tree(const struct mx_bundle *bundle, struct moxie_failure *failure);

/* What a signature cannot promise: that the numbers in `segment` are finite, in their range, and flushed
 * (ARITHMETIC.md section 1). MOXIE_ERROR_MODEL names role, layer, expert and offset. */
enum moxie_error mx_bundle_check_values(const struct mx_bundle *bundle, uint32_t segment,
                                        struct moxie_failure *failure);

/* "query, key and value", for messages. */
const char *mx_role_name(uint32_t role);

#endif
