/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures of bundles: ECDSA P-256 over SHA-256, deterministic (RFC 6979), raw big-endian r || s. Private
 * keys are PEM files that only the packer reads; public keys are PEM files too. The key store is a folder: NAME.key
 * (private, mode 0600) and NAME.pub. */
#ifndef PK_SIGN_H
#define PK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

struct pk_public {
    uint8_t xy[64]; /* the point X || Y, big-endian */
    uint8_t id[32]; /* SHA-256(0x04 || X || Y) */
};

struct pk_key; /* a private key in memory, wiped when closed */

/* Makes a new key and writes `private_path` (0600) and `public_path`; neither may exist. */
bool pk_key_generate(const char *private_path, const char *public_path, struct pk_public *public, struct pk_error *e);

/* A key that exists in memory only. */
struct pk_key *pk_key_ephemeral(struct pk_error *e);

/* Reads a private key (PEM, SEC 1 or PKCS#8, not encrypted). NULL: not readable, or no P-256 key. */
struct pk_key *pk_key_open(const char *path, struct pk_error *e);
void pk_key_close(struct pk_key *key);
void pk_key_public(const struct pk_key *key, struct pk_public *public);

/* Signs a SHA-256 digest. The same key and digest give the same 64 bytes. */
bool pk_sign(const struct pk_key *key, const uint8_t digest[32], uint8_t rs[64], struct pk_error *e);

/* Reads a public key (PEM), or takes the public half of a private one. */
bool pk_public_open(const char *path, struct pk_public *public, struct pk_error *e);

/* ${XDG_CONFIG_HOME:-~/.config}/moxie/keys, or a path in it; made (0700) when `create`. The text is malloc'd; NULL: no
 * home, or the folder cannot be made. */
char *pk_key_store(const char *name, bool create, struct pk_error *e);

/* All *.pub of the key store, malloc'd; an absent store has none. A file in it that is no key is an error. */
bool pk_key_store_list(struct pk_public **list, size_t *n, struct pk_error *e);

#endif
