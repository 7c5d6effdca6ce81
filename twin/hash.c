/* SPDX-License-Identifier: Apache-2.0
 *
 * Merkle leaves, by an independent SHA-256. */
#include <mbedtls/sha256.h>
#include <string.h>

#include "runtime/bundle_format.h"
#include "twin/twin.h"

void twin_hash_leaves(const struct mx_program_key *key, const union twin_arg *arg, uint32_t sets) {
    const uint32_t *leaves = arg[1].mem;
    uint32_t *digests = arg[2].mem;
    (void)key;
    (void)sets;
    for (uint32_t i = 0; i < arg[3].u; i++) {
        uint8_t digest[32], domain[64] = MX_DOMAIN_LEAF;
        mbedtls_sha256_context context;
        mbedtls_sha256_init(&context);
        mbedtls_sha256_starts_ret(&context, 0);
        mbedtls_sha256_update_ret(&context, domain, sizeof domain);
        mbedtls_sha256_update_ret(&context, (const uint8_t *)arg[0].mem + 4096ull * leaves[2 * i], leaves[2 * i + 1]);
        mbedtls_sha256_finish_ret(&context, digest);
        mbedtls_sha256_free(&context);
        for (int w = 0; w < 8; w++)
            digests[8 * i + w] = (uint32_t)digest[4 * w] << 24 | (uint32_t)digest[4 * w + 1] << 16 |
                                 (uint32_t)digest[4 * w + 2] << 8 | digest[4 * w + 3];
    }
}
