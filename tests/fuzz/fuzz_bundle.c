/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: a bundle. Hashes and signatures always fit here (the functions at the end stand for runtime/crypto.c), so
 * that every check behind them is reached. The mutator changes words of the manifest, sometimes anything. What is
 * accepted is read whole. */
#include <stdlib.h>
#include <string.h>

#include "runtime/bundle.h"
#include "runtime/crypto.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed) {
    const size_t from = 512 + 32; /* behind magic, versions and sizes, which are compared with the archive's header */
    if (n < 2048 || seed % 64 == 0) {
        return LLVMFuzzerMutate(data, n, max);
    }
    uint64_t manifest;
    memcpy(&manifest, data + 512 + offsetof(struct mx_manifest, manifest_bytes), 8);
    size_t room = manifest > 64 && manifest < n - 1024 ? (size_t)manifest - 32 : 512;
    if (seed % 4) { /* one field of a table or of the header: a small change, or a word that bites */
        static const uint32_t words[] = {0, 1, 16, 4096, 65536, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff};
        uint32_t word;
        size_t at = from + (size_t)(seed >> 3) % (room / 4) * 4;
        memcpy(&word, data + at, 4);
        word = seed % 3 ? words[seed / 5 % (sizeof(words) / sizeof(words[0]))] : word + (seed % 2 ? 1 : 0xffffffff);
        memcpy(data + at, &word, 4);
        return n;
    }
    size_t at = from + (size_t)(seed >> 3) % room, piece = room - (at - from) < 64 ? room - (at - from) : 64;
    LLVMFuzzerMutate(data + at, piece, piece);
    return n;
}

/* Reads every byte that the opened bundle says is there. */
static void use(const struct mx_bundle *b) {
    struct moxie_failure f;
    const struct mx_manifest *m = b->manifest;
    for (uint32_t l = 0; l <= m->layers; l++) {
        for (uint32_t role = 0; role <= MX_ROLE_DOWN; role++) {
            const struct mx_tensor *t;
            for (uint32_t n = 0; (t = mx_bundle_find(b, role, l < m->layers ? l : MX_NONE, n)); n++) {
                const struct mx_segment *s = &b->segments[t->segment + t->segments - 1];
                uint64_t end = t->data + mx_tensor_data_bytes(t);
                if (s->offset + end > b->size || end > s->used) {
                    abort();
                }
            }
        }
    }
    mx_bundle_verify_host(b, 0, m->segments, NULL, NULL, &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const struct moxie_key key;
    const struct moxie_trust trust = {.size = sizeof(trust), .keys = 1, .key = &key};
    struct mx_bundle b;
    struct moxie_failure f = {0};
    uint8_t *copy = malloc(n + !n); /* its exact size: reading behind it is seen */
    if (!copy) {
        return 0;
    }
    memcpy(copy, data, n);
    if (mx_bundle_open(&b, copy, n, &trust, &f) == MOXIE_OK) {
        use(&b);
    } else if (f.code == MOXIE_OK || !f.what[0] || b.bytes) {
        abort();
    }
    free(copy);
    return 0;
}

void mx_sha256_init(struct mx_sha256 *h) {
    (void)h;
}

void mx_sha256_update(struct mx_sha256 *h, const void *data, size_t n) {
    (void)h;
    if (n) { /* the sanitizer sees whether they are there */
        volatile uint8_t ends = ((const uint8_t *)data)[0] ^ ((const uint8_t *)data)[n - 1];
        (void)ends;
    }
}

/* The seeds have zeros in all hashes. */
void mx_sha256_finish(struct mx_sha256 *h, uint8_t digest[MX_SHA256_BYTES]) {
    (void)h;
    memset(digest, 0, MX_SHA256_BYTES);
}

void mx_sha256(const void *data, size_t n, uint8_t digest[MX_SHA256_BYTES]) {
    mx_sha256_update(NULL, data, n);
    memset(digest, 0, MX_SHA256_BYTES);
}

void mx_p256_key_id(const uint8_t key[MX_P256_KEY_BYTES], uint8_t id[MX_SHA256_BYTES]) {
    (void)key;
    memset(id, 0, MX_SHA256_BYTES);
}

enum moxie_error mx_p256_verify(const uint8_t key[MX_P256_KEY_BYTES], const uint8_t hash[MX_SHA256_BYTES],
                                const uint8_t signature[MX_P256_SIGNATURE_BYTES], struct moxie_failure *f) {
    (void)key, (void)hash, (void)signature, (void)f;
    return MOXIE_OK;
}
