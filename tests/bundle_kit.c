/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // MAP_ANONYMOUS
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/bundle_kit.h"
#include "tests/importer_files.h"

#define PAGE 4096u

const struct pk_key bundle_key = {
    .d = {0xC9, 0xAF, 0xA9, 0xD8, 0x45, 0xBA, 0x75, 0x16, 0x6B, 0x5C, 0x21, 0x57, 0x67, 0xB1, 0xD6, 0x93,
          0x4E, 0x50, 0xC3, 0xDB, 0x36, 0xE8, 0x9B, 0x12, 0x7B, 0x8A, 0x62, 0x2B, 0x12, 0x0F, 0x67, 0x21},
    .xy = {0x60, 0xFE, 0xD4, 0xBA, 0x25, 0x5A, 0x9D, 0x31, 0xC9, 0x61, 0xEB, 0x74, 0xC6, 0x35, 0x6D, 0x68,
           0xC0, 0x49, 0xB8, 0x92, 0x3B, 0x61, 0xFA, 0x6C, 0xE6, 0x69, 0x62, 0x2E, 0x60, 0xF2, 0x9F, 0xB6,
           0x79, 0x03, 0xFE, 0x10, 0x08, 0xB8, 0xBC, 0x99, 0xA4, 0x1A, 0xE9, 0xE9, 0x56, 0x28, 0xBC, 0x64,
           0xF2, 0xF1, 0xB2, 0x0C, 0x2D, 0x7E, 0x9F, 0x51, 0x77, 0xA3, 0xC2, 0x94, 0xD4, 0x46, 0x22, 0x99}};

/* d = 1: the public key is the curve's generator (SEC 2, 2.4.2). */
const struct pk_key bundle_other_key = {
    .d = {[31] = 1},
    .xy = {0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63, 0xA4, 0x40, 0xF2,
           0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96,
           0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16,
           0x2B, 0xCE, 0x33, 0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5}};

/* The page after the last one faults when it is read. */
struct bundle_bytes bundle_new(size_t size) {
    size_t pages = (size + PAGE - 1) / PAGE * PAGE;
    struct bundle_bytes b = {.size = size, .mapped = pages + PAGE};
    b.mapping = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(b.mapping != MAP_FAILED);
    b.bytes = b.mapping;
    assert_int_equal(mprotect(b.bytes + pages, PAGE, PROT_NONE), 0);
    return b;
}

struct bundle_bytes bundle_copy(const struct bundle_bytes *b, size_t size) {
    struct bundle_bytes copy = bundle_new(size);
    memcpy(copy.bytes, b->bytes, size < b->size ? size : b->size);
    return copy;
}

void bundle_free(struct bundle_bytes *b) {
    assert_int_equal(munmap(b->mapping, b->mapped), 0);
    *b = (struct bundle_bytes){0};
}

struct bundle_bytes bundle_pack(const char *name, const struct pk_pack_options *options) {
    char source[256];
    snprintf(source, sizeof(source), "%s%s", strchr(name, '/') ? "" : REFERENCE, name);
    char *folder = make_folder();
    struct pk_pack_options o = options ? *options : (struct pk_pack_options){0};
    o.source = source;
    o.output = in_folder(folder, "test.moxie");
    o.key = &bundle_key;
    struct pk_summary summary;
    struct pk_error e = {0};
    if (!pk_pack(&o, NULL, NULL, &summary, &e)) {
        fail_msg("%s: %s", source, e.text);
    }
    struct bytes file = read_whole(in_folder(folder, "test.moxie"));
    struct bundle_bytes b = bundle_new(file.n);
    memcpy(b.bytes, file.data, file.n);
    free_bytes(&file);
    remove_folder(folder);
    return b;
}

struct mx_manifest *bundle_manifest(const struct bundle_bytes *b) {
    return (struct mx_manifest *)(void *)(b->bytes + 512);
}

struct mx_member *bundle_members(const struct bundle_bytes *b) {
    return (struct mx_member *)(void *)(b->bytes + 512 + bundle_manifest(b)->members_offset);
}

struct mx_layer *bundle_layers(const struct bundle_bytes *b) {
    return (struct mx_layer *)(void *)(b->bytes + 512 + bundle_manifest(b)->layers_offset);
}

struct mx_segment *bundle_segments(const struct bundle_bytes *b) {
    return (struct mx_segment *)(void *)(b->bytes + 512 + bundle_manifest(b)->segments_offset);
}

struct mx_tensor *bundle_tensors(const struct bundle_bytes *b) {
    return (struct mx_tensor *)(void *)(b->bytes + 512 + bundle_manifest(b)->tensors_offset);
}

void bundle_sign(const struct bundle_bytes *b, const struct pk_key *key) {
    static const uint8_t domain[64] = "moxie manifest v1";
    const struct mx_manifest *m = bundle_manifest(b);
    struct mx_signature *s = (void *)(b->bytes + (512 + m->manifest_bytes + 511) / 512 * 512 + 512);
    struct pk_error e = {0};
    uint8_t digest[32];
    pk_sha256(domain, sizeof(domain), m, m->manifest_bytes, digest);
    pk_key_id(key->xy, s->key_id);
    assert_true(pk_sign(key, digest, s->rs, &e));
}

void bundle_rehash(const struct bundle_bytes *b, uint32_t segment) {
    static const uint8_t leaf_domain[64] = "moxie leaf v1", segment_domain[64] = "moxie segment v1";
    struct mx_segment *s = &bundle_segments(b)[segment];
    uint8_t *leaves = b->bytes + bundle_members(b)[2].offset + 32ull * s->first_leaf, head[88];
    uint64_t n = 0;
    for (uint64_t at = 0; at < s->bytes; at += MX_LEAF_BYTES, n++) {
        uint64_t left = s->bytes - at;
        pk_sha256(leaf_domain, 64, b->bytes + s->offset + at, left < MX_LEAF_BYTES ? left : MX_LEAF_BYTES,
                  leaves + 32 * n);
    }
    memcpy(head, segment_domain, 64);
    memcpy(head + 64, &segment, 4);
    memcpy(head + 68, &s->kind, 12); /* kind, layer, expert */
    memcpy(head + 80, &s->bytes, 8);
    pk_sha256(head, sizeof(head), leaves, 32 * n, s->root);
    if (s->kind == MX_SEGMENT_TOKENIZER) {
        pk_sha256(b->bytes + s->offset, s->used, NULL, 0, bundle_manifest(b)->tokenizer_sha256);
    }
}

enum moxie_error bundle_open(const struct bundle_bytes *b, struct mx_bundle *bundle, struct moxie_failure *f) {
    struct moxie_key key;
    memcpy(key.xy, bundle_key.xy, sizeof(key.xy));
    struct moxie_trust trust = {.size = sizeof(trust), .keys = 1, .key = &key};
    return mx_bundle_open(bundle, b->bytes, b->size, &trust, f);
}

enum moxie_error bundle_check(const struct bundle_bytes *b, struct moxie_failure *f) {
    struct mx_bundle bundle;
    enum moxie_error e = bundle_open(b, &bundle, f);
    return e ? e : mx_bundle_verify_host(&bundle, 0, bundle.manifest->segments, NULL, NULL, f);
}
