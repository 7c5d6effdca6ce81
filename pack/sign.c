/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/sign.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#include "pack/key_file.h"
#include "pack/pk_file.h"

#define KEY_FILE_MAX 65536

struct pk_key {
    mbedtls_pk_context pk;
};

/* mbedTLS's random callback over the system's generator, which cannot fail once it is seeded. */
static int system_random(void *unused, unsigned char *out, size_t n) {
    (void)unused;
    while (n) {
        ssize_t got = getrandom(out, n, 0);
        if (got <= 0) {
            return MBEDTLS_ERR_ECP_RANDOM_FAILED;
        }
        out += got;
        n -= (size_t)got;
    }
    return 0;
}

/* The P-256 pair in `pk`; NULL when it holds anything else. */
static mbedtls_ecp_keypair *pair(const mbedtls_pk_context *pk) {
    mbedtls_ecp_keypair *ec = mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY || mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECDSA
                                  ? mbedtls_pk_ec(*pk)
                                  : NULL;
    return ec && ec->grp.id == MBEDTLS_ECP_DP_SECP256R1 ? ec : NULL;
}

static bool to_public(const mbedtls_pk_context *pk, struct pk_public *public) {
    mbedtls_ecp_keypair *ec = pair(pk);
    uint8_t point[65];
    size_t n = 0;
    if (!ec || mbedtls_ecp_check_pubkey(&ec->grp, &ec->Q) != 0 ||
        mbedtls_ecp_point_write_binary(&ec->grp, &ec->Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point, sizeof point) != 0 ||
        n != sizeof point) {
        return false;
    }
    memcpy(public->xy, point + 1, sizeof public->xy);
    return mbedtls_sha256_ret(point, sizeof point, public->id, 0) == 0;
}

static struct pk_key *new_key(struct pk_error *e) {
    struct pk_key *key = malloc(sizeof *key);
    if (!key) {
        return pk_fail_memory(e);
    }
    mbedtls_pk_init(&key->pk);
    return key;
}

void pk_key_close(struct pk_key *key) {
    if (key) {
        mbedtls_pk_free(&key->pk); /* wipes the numbers */
        free(key);
    }
}

void pk_key_public(const struct pk_key *key, struct pk_public *public) {
    if (!to_public(&key->pk, public)) {
        abort(); /* the key was checked when it was made or read */
    }
}

struct pk_key *pk_key_ephemeral(struct pk_error *e) {
    struct pk_key *key = new_key(e);
    if (key && (mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) != 0 ||
                mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key->pk), system_random, NULL) != 0)) {
        pk_fail(e, MOXIE_ERROR_KEY_INVALID, "cannot make a key: the random generator or memory failed");
        pk_key_close(key);
        return NULL;
    }
    return key;
}

bool pk_key_generate(const char *private_path, const char *public_path, struct pk_public *public, struct pk_error *e) {
    struct pk_key *key = pk_key_ephemeral(e);
    if (!key) {
        return false;
    }
    unsigned char private_pem[512], public_pem[512];
    bool ok = mbedtls_pk_write_key_pem(&key->pk, private_pem, sizeof private_pem) == 0 &&
                      mbedtls_pk_write_pubkey_pem(&key->pk, public_pem, sizeof public_pem) == 0
                  ? pk_key_file_new(private_path, 0600, (const char *)private_pem, e) &&
                        pk_key_file_new(public_path, 0644, (const char *)public_pem, e)
                  : pk_fail(e, MOXIE_ERROR_KEY_INVALID, "%s: cannot write the key as PEM", private_path);
    if (ok) {
        pk_key_public(key, public);
    }
    mbedtls_platform_zeroize(private_pem, sizeof private_pem);
    pk_key_close(key);
    return ok;
}

struct pk_key *pk_key_open(const char *path, struct pk_error *e) {
    struct pk_key *key = new_key(e);
    uint64_t n = 0;
    char *text = key ? pk_file_load(path, KEY_FILE_MAX, &n, e) : NULL;
    if (!text) {
        pk_key_close(key);
        return NULL;
    }
    struct pk_public public;
    bool read = mbedtls_pk_parse_key(&key->pk, (const unsigned char *)text, (size_t)n + 1, NULL, 0) == 0;
    bool good = read && to_public(&key->pk, &public) &&
                mbedtls_ecp_check_privkey(&pair(&key->pk)->grp, &pair(&key->pk)->d) == 0;
    mbedtls_platform_zeroize(text, (size_t)n);
    free(text);
    if (good) {
        return key;
    }
    pk_fail(e, MOXIE_ERROR_KEY_INVALID, "%s: %s", path,
            read ? "not a P-256 private key" : "not a private key in PEM (SEC 1 or PKCS#8, without a password)");
    pk_key_close(key);
    return NULL;
}

bool pk_sign(const struct pk_key *key, const uint8_t digest[32], uint8_t rs[64], struct pk_error *e) {
    mbedtls_ecp_keypair *ec = pair(&key->pk);
    mbedtls_mpi r, s;
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    bool ok =
        mbedtls_ecdsa_sign_det_ext(&ec->grp, &r, &s, &ec->d, digest, 32, MBEDTLS_MD_SHA256, system_random, NULL) == 0 &&
        mbedtls_mpi_write_binary(&r, rs, 32) == 0 && mbedtls_mpi_write_binary(&s, rs + 32, 32) == 0;
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return ok || pk_fail(e, MOXIE_ERROR_SIGNATURE, "signing failed");
}

bool pk_public_open(const char *path, struct pk_public *public, struct pk_error *e) {
    uint64_t n = 0;
    char *text = pk_file_load(path, KEY_FILE_MAX, &n, e);
    if (!text) {
        return false;
    }
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    bool read = mbedtls_pk_parse_public_key(&pk, (const unsigned char *)text, (size_t)n + 1) == 0;
    if (!read) {
        mbedtls_pk_free(&pk);
        mbedtls_pk_init(&pk);
        read = mbedtls_pk_parse_key(&pk, (const unsigned char *)text, (size_t)n + 1, NULL, 0) == 0;
    }
    bool good = read && to_public(&pk, public);
    mbedtls_pk_free(&pk);
    mbedtls_platform_zeroize(text, (size_t)n);
    free(text);
    return good || pk_fail(e, MOXIE_ERROR_KEY_INVALID, "%s: %s", path,
                           read ? "not a P-256 key" : "neither a public nor a private key in PEM");
}
