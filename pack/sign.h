/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures: ECDSA on P-256 over SHA-256, deterministic (RFC 6979), so that the same bundle and key give the
 * same bytes. Private keys exist in the packer only. */
#ifndef PK_SIGN_H
#define PK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

#define PK_KEY_ID_TEXT 65 /* 64 hexadecimal digits and NUL */

struct pk_key {
    uint8_t d[32];  /* the secret */
    uint8_t xy[64]; /* the public point, X then Y, big-endian */
};

/* From the system's random numbers. */
bool pk_key_generate(struct pk_key *key, struct pk_error *e);

/* Overwrites the secret. */
void pk_key_wipe(struct pk_key *key);

/* PEM, SEC1 or PKCS#8, without a password. */
bool pk_key_read_private(struct pk_key *key, const char *path, struct pk_error *e);

/* Writes "BEGIN EC PRIVATE KEY" for its owner alone (mode 0600), or "BEGIN PUBLIC KEY". An existing file is an error.
 */
bool pk_key_write_private(const struct pk_key *key, const char *path, struct pk_error *e);
bool pk_key_write_public(const uint8_t xy[64], const char *path, struct pk_error *e);

/* A public key from a file: PEM of a public or a private key, or 128 hexadecimal digits X Y. */
bool pk_key_read_public(uint8_t xy[64], const char *path, struct pk_error *e);

/* The id under which bundles name a key: SHA-256(0x04 || X || Y), in bytes and as text. */
void pk_key_id(const uint8_t xy[64], uint8_t id[32]);
void pk_key_id_text(const uint8_t xy[64], char text[PK_KEY_ID_TEXT]);

/* r || s of a SHA-256 digest. */
bool pk_sign(const struct pk_key *key, const uint8_t digest[32], uint8_t rs[64], struct pk_error *e);

/* SHA-256 of up to two pieces, the first usually the 64-byte block of a domain (bundle_format.h). */
void pk_sha256(const void *a, size_t a_bytes, const void *b, size_t b_bytes, uint8_t digest[32]);

#endif
