/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of bundles share: tiny checkpoints packed into memory, where they may be changed and signed again, to
 * get behind the signature. Every helper fails the running test when something goes wrong. */
#ifndef TESTS_BUNDLE_KIT_H
#define TESTS_BUNDLE_KIT_H

#include "pack/pack.h"
#include "runtime/bundle.h"

/* A bundle's bytes, writable; aligned to 4096, and the page after their last one cannot be read. */
struct bundle_bytes {
    uint8_t *bytes;
    size_t size;
    void *mapping; /* of all pages */
    size_t mapped;
};

/* The key of RFC 6979, A.2.5; a second one. */
extern const struct pk_key bundle_key, bundle_other_key;

/* Packs tests/data/reference/`name`, or another source when `name` has a '/'. `options` may be NULL; source, output and
 * key of it are not looked at. */
struct bundle_bytes bundle_pack(const char *name, const struct pk_pack_options *options);

struct bundle_bytes bundle_new(size_t size); /* zeros */
struct bundle_bytes bundle_copy(const struct bundle_bytes *b, size_t size);
void bundle_free(struct bundle_bytes *b);

/* The tables, in place. */
struct mx_manifest *bundle_manifest(const struct bundle_bytes *b);
struct mx_member *bundle_members(const struct bundle_bytes *b);
struct mx_layer *bundle_layers(const struct bundle_bytes *b);
struct mx_segment *bundle_segments(const struct bundle_bytes *b);
struct mx_tensor *bundle_tensors(const struct bundle_bytes *b);

void bundle_sign(const struct bundle_bytes *b, const struct pk_key *key);

/* Leaves and root of a segment, the tokenizer's hash, made to fit the bytes as they are. Not signed. */
void bundle_rehash(const struct bundle_bytes *b, uint32_t segment);

/* mx_bundle_open with bundle_key pinned. */
enum moxie_error bundle_open(const struct bundle_bytes *b, struct mx_bundle *bundle, struct moxie_failure *f);

/* Opens and verifies all segments. */
enum moxie_error bundle_check(const struct bundle_bytes *b, struct moxie_failure *f);

#endif
