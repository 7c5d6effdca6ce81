/* SPDX-License-Identifier: Apache-2.0
 *
 * The two primitives of trust: SHA-256 (FIPS 180-4) and ECDSA verification on P-256 (FIPS 186-4). No heap: see
 * third_party.h. */
#ifndef MX_CRYPTO_H
#define MX_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "platform/moxie_error.h"

enum { MX_SHA256_BYTES = 32, MX_P256_KEY_BYTES = 64, MX_P256_SIGNATURE_BYTES = 64 };

/* A running hash. Plain data: a copy continues on its own. */
struct mx_sha256 {
    uint32_t state[8];
    uint64_t bytes;    /* hashed so far */
    uint8_t block[64]; /* the bytes % 64 that wait for the rest of their block */
};

/* Any number of hashes may run at once, each used by one thread at a time. */
void mx_sha256_init(struct mx_sha256 *h);
void mx_sha256_update(struct mx_sha256 *h, const void *data, size_t n);
void mx_sha256_finish(struct mx_sha256 *h, uint8_t digest[MX_SHA256_BYTES]);

/* All in one; `data` may be NULL when `n` is 0. */
void mx_sha256(const void *data, size_t n, uint8_t digest[MX_SHA256_BYTES]);

/* Names a public key: SHA-256 of its uncompressed point, 0x04 ‖ X ‖ Y (SEC 1, 2.3.3). Does not check the key. */
void mx_p256_key_id(const uint8_t key[MX_P256_KEY_BYTES], uint8_t id[MX_SHA256_BYTES]);

/* Is `signature` (r ‖ s) a signature of `hash` under `key` (X ‖ Y)? All numbers are 32 bytes, big-endian.
 * Errors: KEY_INVALID (not a point of the curve), SIGNATURE (also r or s outside [1, n − 1]), MEMORY (cannot happen:
 * the pool was too small). About 2 ms; any thread, callers take turns. */
enum moxie_error mx_p256_verify(const uint8_t key[MX_P256_KEY_BYTES], const uint8_t hash[MX_SHA256_BYTES],
                                const uint8_t signature[MX_P256_SIGNATURE_BYTES], struct moxie_failure *f);

#endif
