/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/crypto.h"

#include <stdbool.h>
#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/sha256.h>

#include "platform/fail.h"
#include "runtime/sha256_blocks.h"
#include "runtime/third_party.h"

void mx_sha256_blocks_portable(uint32_t state[8], const uint8_t *blocks, size_t n) {
    mbedtls_sha256_context c = {0};
    memcpy(c.state, state, sizeof c.state);
    for (size_t i = 0; i < n; i++) {
        mbedtls_internal_sha256_process(&c, blocks + 64 * i); /* cannot fail: it only computes */
    }
    memcpy(state, c.state, sizeof c.state);
}

static void blocks(uint32_t state[8], const uint8_t *data, size_t n) {
    if (mx_sha256_x86_usable()) {
        mx_sha256_blocks_x86(state, data, n);
    } else {
        mx_sha256_blocks_portable(state, data, n);
    }
}

static void put_be(uint8_t *out, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(value >> 8 * (n - 1 - i));
    }
}

void mx_sha256_init(struct mx_sha256 *h) {
    /* FIPS 180-4 section 5.3.3 */
    *h = (struct mx_sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void mx_sha256_update(struct mx_sha256 *h, const void *data, size_t n) {
    if (n == 0) {
        return;
    }
    const uint8_t *p = data;
    size_t waiting = (size_t)(h->bytes % 64);
    h->bytes += n;
    if (waiting > 0) {
        size_t take = n < 64 - waiting ? n : 64 - waiting;
        memcpy(h->block + waiting, p, take);
        if (waiting + take < 64) {
            return;
        }
        blocks(h->state, h->block, 1);
        p += take;
        n -= take;
    }
    blocks(h->state, p, n / 64);
    memcpy(h->block, p + n / 64 * 64, n % 64);
}

void mx_sha256_finish(struct mx_sha256 *h, uint8_t digest[MX_SHA256_BYTES]) {
    uint8_t end[72] = {0x80}; /* the padding: 1 bit, zeros to 8 bytes before a block's end, the length in bits */
    size_t zeros_to = 64 - (size_t)((h->bytes + 8) % 64);
    put_be(end + zeros_to, h->bytes * 8, 8);
    mx_sha256_update(h, end, zeros_to + 8);
    for (size_t i = 0; i < 8; i++) {
        put_be(digest + 4 * i, h->state[i], 4);
    }
}

void mx_sha256(const void *data, size_t n, uint8_t digest[MX_SHA256_BYTES]) {
    struct mx_sha256 h;
    mx_sha256_init(&h);
    mx_sha256_update(&h, data, n);
    mx_sha256_finish(&h, digest);
}

/* The uncompressed point of SEC 1, 2.3.3. */
static void put_point(const uint8_t key[MX_P256_KEY_BYTES], uint8_t point[1 + MX_P256_KEY_BYTES]) {
    point[0] = 0x04;
    memcpy(point + 1, key, MX_P256_KEY_BYTES);
}

void mx_p256_key_id(const uint8_t key[MX_P256_KEY_BYTES], uint8_t id[MX_SHA256_BYTES]) {
    uint8_t point[1 + MX_P256_KEY_BYTES];
    put_point(key, point);
    mx_sha256(point, sizeof point, id);
}

/* Failures of mbedTLS that say nothing about the key or the signature. */
static bool out_of_memory(int error) {
    return error == MBEDTLS_ERR_MPI_ALLOC_FAILED || error == MBEDTLS_ERR_ECP_ALLOC_FAILED;
}

enum moxie_error mx_p256_verify(const uint8_t key[MX_P256_KEY_BYTES], const uint8_t hash[MX_SHA256_BYTES],
                                const uint8_t signature[MX_P256_SIGNATURE_BYTES], struct moxie_failure *f) {
    uint8_t point[1 + MX_P256_KEY_BYTES];
    put_point(key, point);

    mx_tp_enter();
    mbedtls_ecp_group curve;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;
    mbedtls_ecp_group_init(&curve);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);

    int loaded = mbedtls_ecp_group_load(&curve, MBEDTLS_ECP_DP_SECP256R1);
    int key_error = loaded ? loaded : mbedtls_ecp_point_read_binary(&curve, &q, point, sizeof point);
    key_error = key_error ? key_error : mbedtls_ecp_check_pubkey(&curve, &q);
    int error = mbedtls_mpi_read_binary(&r, signature, 32);
    error = error ? error : mbedtls_mpi_read_binary(&s, signature + 32, 32);
    if (!key_error && !error) {
        error = mbedtls_ecdsa_verify(&curve, hash, MX_SHA256_BYTES, &q, &r, &s);
    }

    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&curve);
    mx_tp_leave();

    if (loaded || out_of_memory(key_error) || out_of_memory(error)) {
        return mx_fail(f, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "%u bytes were not enough for checking a signature",
                       (unsigned)MX_TP_POOL_BYTES);
    }
    if (key_error) {
        return mx_fail(f, MOXIE_ERROR_KEY_INVALID, MX_NO_OFFSET, "the public key is not a point of the curve P-256");
    }
    if (error) {
        return mx_fail(f, MOXIE_ERROR_SIGNATURE, MX_NO_OFFSET, "the signature does not belong to these bytes and key");
    }
    return MOXIE_OK;
}
