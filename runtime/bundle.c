/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/bundle_check.h"
#include "runtime/crypto.h"

/* Enough of the manifest to know what it claims to be. Nothing is trusted yet; this only words the error well. */
static enum moxie_error look_at_manifest(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_manifest *m = b->manifest;
    if (memcmp(m->magic, MX_BUNDLE_MAGIC, sizeof m->magic) != 0) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, MX_BLOCK, "not a Moxie bundle: its first member is no manifest");
    }
    if (m->major != MX_BUNDLE_MAJOR) {
        return mx_fail(f, MOXIE_ERROR_FORMAT_VERSION, mx_offset_of(b, &m->major),
                       "bundle format %u.%u, this library reads %u.x", m->major, m->minor, MX_BUNDLE_MAJOR);
    }
    if (m->manifest_bytes < sizeof *m || m->manifest_bytes > MX_MANIFEST_MAX) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, &m->manifest_bytes),
                       "a manifest of %llu bytes, expected %zu to %u", (unsigned long long)m->manifest_bytes, sizeof *m,
                       MX_MANIFEST_MAX);
    }
    uint64_t signature = mx_round_up(MX_BLOCK + m->manifest_bytes, MX_BLOCK) + MX_BLOCK;
    if (b->size < signature + sizeof(struct mx_signature)) {
        return mx_fail(f, MOXIE_ERROR_TRUNCATED, b->size, "the file ends inside manifest or signature, at %llu",
                       (unsigned long long)b->size);
    }
    enum moxie_error e = mx_check_header(b, 0, "manifest", m->manifest_bytes, f);
    return e ? e : mx_check_header(b, signature - MX_BLOCK, "signature", sizeof(struct mx_signature), f);
}

/* The pinned key with this id; NULL: none. */
static const struct moxie_key *pinned(const struct moxie_trust *trust, const uint8_t id[32]) {
    for (uint32_t i = 0; i < trust->keys; i++) {
        uint8_t found[MX_SHA256_BYTES];
        mx_p256_key_id(trust->key[i].xy, found);
        if (memcmp(found, id, sizeof found) == 0) {
            return &trust->key[i];
        }
    }
    return NULL;
}

static enum moxie_error check_signature(struct mx_bundle *b, const struct moxie_trust *trust, struct moxie_failure *f) {
    uint64_t at = mx_round_up(MX_BLOCK + b->manifest->manifest_bytes, MX_BLOCK) + MX_BLOCK;
    const struct mx_signature *s = (const void *)(b->bytes + at);
    for (uint32_t i = 0; i < trust->revoked; i++) {
        if (memcmp(trust->revoked_id[i], s->key_id, sizeof s->key_id) == 0) {
            return mx_fail(f, MOXIE_ERROR_KEY_REVOKED, at, "signed by a revoked key");
        }
    }
    const struct moxie_key *key = pinned(trust, s->key_id);
    if (!key) {
        return mx_fail(f, MOXIE_ERROR_KEY_UNKNOWN, at, "signed by key %x%x%x%x..., which is none of the %u pinned",
                       (unsigned)s->key_id[0] >> 4, (unsigned)s->key_id[0] & 15, (unsigned)s->key_id[1] >> 4,
                       (unsigned)s->key_id[1] & 15, trust->keys);
    }
    mx_manifest_digest(b->manifest, b->digest);
    enum moxie_error e = mx_p256_verify(key->xy, b->digest, s->rs, f);
    if (e == MOXIE_ERROR_SIGNATURE) {
        return mx_fail(f, e, at, "the manifest is not what its key signed");
    }
    b->key_id = s->key_id;
    return e;
}

/* The header of the manifest and where its tables lie. */
static enum moxie_error check_manifest(struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_manifest *m = b->manifest;
    if (m->arithmetic != MX_ARITHMETIC_ID || m->min_runtime > MOXIE_VERSION) {
        return mx_fail(f, MOXIE_ERROR_FORMAT_VERSION, mx_offset_of(b, &m->arithmetic),
                       "arithmetic %u and library %x are needed, this is arithmetic %u, library %x", m->arithmetic,
                       m->min_runtime, MX_ARITHMETIC_ID, MOXIE_VERSION);
    }
    if (m->bundle_bytes > b->size) {
        return mx_fail(f, MOXIE_ERROR_TRUNCATED, b->size, "the bundle has %llu bytes, the file only %llu",
                       (unsigned long long)m->bundle_bytes, (unsigned long long)b->size);
    }
    if (m->bundle_bytes < b->size) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, m->bundle_bytes, "the bundle ends at %llu, the file has %llu bytes",
                       (unsigned long long)m->bundle_bytes, (unsigned long long)b->size);
    }
    if (m->security_counter > MX_COUNTER_MAX) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, &m->security_counter),
                       "security counter %llu, at most %u", (unsigned long long)m->security_counter, MX_COUNTER_MAX);
    }
    if (m->minor <= MX_BUNDLE_MINOR && !mx_all_zero(m->reserved, sizeof m->reserved)) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m->reserved), "reserved bytes are not zero");
    }
    const struct {
        const char *name;
        uint32_t offset, count;
        uint64_t size;
    } tables[] = {
        {"member", m->members_offset, m->members, sizeof(struct mx_member)},
        {"layer", m->layers_offset, m->layers, sizeof(struct mx_layer)},
        {"segment", m->segments_offset, m->segments, sizeof(struct mx_segment)},
        {"tensor", m->tensors_offset, m->tensors, sizeof(struct mx_tensor)},
    };
    uint64_t at = sizeof *m; /* below 2^26 + 2^32 * 80 at all times */
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        uint64_t end = at + tables[i].count * tables[i].size;
        if (tables[i].offset != at || end > m->manifest_bytes) {
            return mx_fail(f, MOXIE_ERROR_BOUNDS, MX_BLOCK + at,
                           "the %s table with %u entries is at %u of a manifest of %llu bytes, expected at %llu",
                           tables[i].name, tables[i].count, tables[i].offset, (unsigned long long)m->manifest_bytes,
                           (unsigned long long)at);
        }
        at = end;
    }
    if (at != m->manifest_bytes) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, MX_BLOCK + at, "the tables end at %llu, the manifest at %llu",
                       (unsigned long long)at, (unsigned long long)m->manifest_bytes);
    }
    const uint8_t *base = (const uint8_t *)m;
    b->members = (const void *)(base + m->members_offset);
    b->layers = (const void *)(base + m->layers_offset);
    b->segments = (const void *)(base + m->segments_offset);
    b->tensors = (const void *)(base + m->tensors_offset);
    return MOXIE_OK;
}

static enum moxie_error open_all(struct mx_bundle *b, const struct moxie_trust *trust, struct moxie_failure *f) {
    enum moxie_error e = look_at_manifest(b, f);
    if (!e) {
        e = check_signature(b, trust, f);
    }
    /* from here on the manifest is authentic, but still not believed */
    if (!e) {
        e = check_manifest(b, f);
    }
    if (!e) {
        e = mx_check_archive(b, f);
    }
    if (!e) {
        e = mx_check_model(b, f);
    }
    if (!e) {
        e = mx_check_layers(b, f);
    }
    if (!e) {
        e = mx_check_segments(b, f);
    }
    if (!e) {
        e = mx_check_tensors(b, f);
    }
    if (!e) {
        e = mx_check_roots(b, f);
    }
    return e ? e : mx_check_host_segments(b, f);
}

enum moxie_error mx_bundle_open(struct mx_bundle *bundle, const void *bytes, uint64_t size,
                                const struct moxie_trust *trust, struct moxie_failure *failure) {
    memset(bundle, 0, sizeof *bundle);
    if ((!bytes && size) || !trust || (trust->keys && !trust->key) || (trust->revoked && !trust->revoked_id)) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "bytes, trust or one of its lists is NULL");
    }
    if (trust->size != sizeof *trust) {
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET, "moxie_trust has size %u, this library knows %zu",
                       trust->size, sizeof *trust);
    }
    if (size < MX_BLOCK + sizeof(struct mx_manifest)) {
        return mx_fail(failure, MOXIE_ERROR_TRUNCATED, size, "a bundle has at least %zu bytes, this file has %llu",
                       MX_BLOCK + sizeof(struct mx_manifest), (unsigned long long)size);
    }
    if ((uintptr_t)bytes % 8) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "the bundle's bytes are not aligned to 8");
    }
    struct mx_bundle b = {.bytes = bytes, .size = size, .manifest = (const void *)((const uint8_t *)bytes + MX_BLOCK)};
    enum moxie_error e = open_all(&b, trust, failure);
    if (!e) {
        *bundle = b;
    }
    return e;
}

const struct mx_tensor *mx_bundle_find(const struct mx_bundle *bundle, enum mx_role role, uint32_t layer, uint32_t n) {
    /* the table is ordered by (layer, role, row_offset), the model's own last */
    const uint64_t wanted = (uint64_t)layer << 32 | role;
    uint32_t low = 0, high = bundle->manifest->tensors;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct mx_tensor *t = &bundle->tensors[middle];
        if (((uint64_t)t->layer << 32 | t->role) < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (n >= bundle->manifest->tensors - low) {
        return NULL;
    }
    const struct mx_tensor *t = &bundle->tensors[low + n];
    return t->layer == layer && t->role == role ? t : NULL;
}

const struct mx_segment *mx_bundle_segment(const struct mx_bundle *bundle, enum mx_segment_kind kind) {
    for (uint32_t i = 0; i < bundle->manifest->segments; i++) {
        if (bundle->segments[i].kind == kind) {
            return &bundle->segments[i];
        }
    }
    return NULL;
}
