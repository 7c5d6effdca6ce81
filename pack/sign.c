/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // fsync, fdopen
#include "pack/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>

#include "pack/pk_file.h"
#include "runtime/crypto.h"

#define PEM_MAX 16384u

struct random {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

static bool random_open(struct random *r, struct pk_error *e) {
    static const unsigned char use[] = "moxie";
    mbedtls_entropy_init(&r->entropy);
    mbedtls_ctr_drbg_init(&r->drbg);
    int error = mbedtls_ctr_drbg_seed(&r->drbg, mbedtls_entropy_func, &r->entropy, use, sizeof(use) - 1);
    return !error || pk_fail(e, MOXIE_ERROR_FILE, "the system gives no random numbers (mbedTLS error %d)", error);
}

static void random_close(struct random *r) {
    mbedtls_ctr_drbg_free(&r->drbg);
    mbedtls_entropy_free(&r->entropy);
}

static bool is_p256(const mbedtls_pk_context *pk) {
    return mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY) && mbedtls_pk_ec(*pk)->grp.id == MBEDTLS_ECP_DP_SECP256R1;
}

static bool get_public(const mbedtls_pk_context *pk, uint8_t xy[64]) {
    const mbedtls_ecp_keypair *pair = mbedtls_pk_ec(*pk);
    uint8_t point[65];
    size_t n;
    if (mbedtls_ecp_point_write_binary(&pair->grp, &pair->Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point, sizeof(point)) ||
        n != sizeof(point)) {
        return false;
    }
    memcpy(xy, point + 1, 64);
    return true;
}

/* Fills a pk context from `key`; d may be NULL. */
static int set_pk(mbedtls_pk_context *pk, const uint8_t *d, const uint8_t xy[64]) {
    int error = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (error) {
        return error;
    }
    mbedtls_ecp_keypair *pair = mbedtls_pk_ec(*pk);
    uint8_t point[65] = {0x04};
    memcpy(point + 1, xy, 64);
    error = mbedtls_ecp_group_load(&pair->grp, MBEDTLS_ECP_DP_SECP256R1);
    error = error ? error : mbedtls_ecp_point_read_binary(&pair->grp, &pair->Q, point, sizeof(point));
    return error || !d ? error : mbedtls_mpi_read_binary(&pair->d, d, 32);
}

bool pk_key_generate(struct pk_key *key, struct pk_error *e) {
    struct random r;
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    bool ok = random_open(&r, e);
    if (ok) {
        int error = mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
        error =
            error ? error
                  : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), mbedtls_ctr_drbg_random, &r.drbg);
        error = error ? error : mbedtls_mpi_write_binary(&mbedtls_pk_ec(pk)->d, key->d, 32);
        ok = (!error && get_public(&pk, key->xy)) ||
             pk_fail(e, MOXIE_ERROR_KEY_INVALID, "no key could be made (mbedTLS error %d)", error);
    }
    mbedtls_pk_free(&pk);
    random_close(&r);
    return ok;
}

void pk_key_wipe(struct pk_key *key) {
    mbedtls_platform_zeroize(key, sizeof(*key));
}

bool pk_key_read_private(struct pk_key *key, const char *path, struct pk_error *e) {
    uint64_t bytes;
    char *pem = pk_file_load(path, PEM_MAX, &bytes, e);
    if (!pem) {
        return false;
    }
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int error = mbedtls_pk_parse_key(&pk, (const unsigned char *)pem, bytes + 1, NULL, 0);
    bool ok = !error && is_p256(&pk) && mbedtls_mpi_write_binary(&mbedtls_pk_ec(pk)->d, key->d, 32) == 0 &&
              mbedtls_ecp_check_privkey(&mbedtls_pk_ec(pk)->grp, &mbedtls_pk_ec(pk)->d) == 0 &&
              get_public(&pk, key->xy);
    mbedtls_pk_free(&pk);
    mbedtls_platform_zeroize(pem, bytes);
    free(pem);
    return ok || pk_fail(e, MOXIE_ERROR_KEY_INVALID, "%s: not a private P-256 key in PEM without a password", path);
}

/* Writes a new file. */
static bool write_file(const char *path, const char *text, mode_t mode, struct pk_error *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return pk_fail(e, MOXIE_ERROR_FILE, "%s: %s", path, strerror(errno));
    }
    size_t n = strlen(text);
    errno = ENOSPC; // of a part that is written, nothing is said
    bool ok = write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok) {
        const int why = errno;
        unlink(path);
        return pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be written: %s", path, strerror(why));
    }
    return true;
}

/* d NULL: the public key. */
static bool write_pem(const uint8_t *d, const uint8_t xy[64], const char *path, struct pk_error *e) {
    unsigned char pem[2048];
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int error = set_pk(&pk, d, xy);
    error = error ? error
            : d   ? mbedtls_pk_write_key_pem(&pk, pem, sizeof(pem))
                  : mbedtls_pk_write_pubkey_pem(&pk, pem, sizeof(pem));
    mbedtls_pk_free(&pk);
    bool ok = error
                  ? pk_fail(e, MOXIE_ERROR_KEY_INVALID, "%s: the key cannot be written (mbedTLS error %d)", path, error)
                  : write_file(path, (const char *)pem, d ? 0600 : 0644, e);
    mbedtls_platform_zeroize(pem, sizeof(pem));
    return ok;
}

bool pk_key_write_private(const struct pk_key *key, const char *path, struct pk_error *e) {
    return write_pem(key->d, key->xy, path, e);
}

bool pk_key_write_public(const uint8_t xy[64], const char *path, struct pk_error *e) {
    return write_pem(NULL, xy, path, e);
}

/* 128 hexadecimal digits, blanks between and behind allowed. */
static bool parse_hex(const char *text, uint8_t out[64]) {
    size_t digits = 0;
    for (const char *p = text; *p; p++) {
        if (strchr(" \t\r\n", *p)) {
            continue;
        }
        const char *found = strchr("0123456789abcdef", *p >= 'A' && *p <= 'F' ? *p + 32 : *p);
        if (!found || digits == 128) {
            return false;
        }
        int v = (int)(found - "0123456789abcdef");
        out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] | v : v << 4);
        digits++;
    }
    return digits == 128;
}

bool pk_key_read_public(uint8_t xy[64], const char *path, struct pk_error *e) {
    uint64_t bytes;
    char *text = pk_file_load(path, PEM_MAX, &bytes, e);
    if (!text) {
        return false;
    }
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    bool ok;
    if (parse_hex(text, xy)) {
        ok = set_pk(&pk, NULL, xy) == 0;
    } else {
        ok = mbedtls_pk_parse_public_key(&pk, (const unsigned char *)text, bytes + 1) == 0;
        if (!ok) {
            mbedtls_pk_free(&pk);
            mbedtls_pk_init(&pk);
            ok = mbedtls_pk_parse_key(&pk, (const unsigned char *)text, bytes + 1, NULL, 0) == 0;
        }
        ok = ok && is_p256(&pk) && get_public(&pk, xy);
    }
    ok = ok && mbedtls_ecp_check_pubkey(&mbedtls_pk_ec(pk)->grp, &mbedtls_pk_ec(pk)->Q) == 0;
    mbedtls_pk_free(&pk);
    mbedtls_platform_zeroize(text, bytes);
    free(text);
    return ok || pk_fail(e, MOXIE_ERROR_KEY_INVALID,
                         "%s: not a P-256 key: neither PEM nor 128 hexadecimal digits of a point", path);
}

void pk_key_id(const uint8_t xy[64], uint8_t id[32]) {
    static const uint8_t uncompressed = 0x04;
    pk_sha256(&uncompressed, 1, xy, 64, id);
}

void pk_key_id_text(const uint8_t xy[64], char text[PK_KEY_ID_TEXT]) {
    uint8_t id[32];
    pk_key_id(xy, id);
    for (int i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    }
}

bool pk_sign(const struct pk_key *key, const uint8_t digest[32], uint8_t rs[64], struct pk_error *e) {
    struct random blind; // blinds the computation against side channels; the result does not depend on it
    mbedtls_ecp_group curve;
    mbedtls_mpi d, r, s;
    mbedtls_ecp_group_init(&curve);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    bool ok = random_open(&blind, e);
    if (ok) {
        int error = mbedtls_ecp_group_load(&curve, MBEDTLS_ECP_DP_SECP256R1);
        error = error ? error : mbedtls_mpi_read_binary(&d, key->d, 32);
        error = error ? error
                      : mbedtls_ecdsa_sign_det_ext(&curve, &r, &s, &d, digest, 32, MBEDTLS_MD_SHA256,
                                                   mbedtls_ctr_drbg_random, &blind.drbg);
        error = error ? error : mbedtls_mpi_write_binary(&r, rs, 32);
        error = error ? error : mbedtls_mpi_write_binary(&s, rs + 32, 32);
        ok = !error || pk_fail(e, MOXIE_ERROR_KEY_INVALID, "the key cannot sign (mbedTLS error %d)", error);
    }
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_group_free(&curve);
    random_close(&blind);
    return ok;
}

void pk_sha256(const void *a, size_t a_bytes, const void *b, size_t b_bytes, uint8_t digest[32]) {
    struct mx_sha256 h;
    mx_sha256_init(&h);
    mx_sha256_update(&h, a, a_bytes);
    mx_sha256_update(&h, b, b_bytes);
    mx_sha256_finish(&h, digest);
}
