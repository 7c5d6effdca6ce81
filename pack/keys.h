/* SPDX-License-Identifier: Apache-2.0
 *
 * The user's key store, ${XDG_CONFIG_HOME:-~/.config}/moxie/keys: NAME.key.pem is a private key, NAME.pub.pem a public
 * one that bundles may be signed with. On the machine that packs, nothing else needs to be said. */
#ifndef PK_KEYS_H
#define PK_KEYS_H

#include "pack/sign.h"

#define PK_KEY_DEFAULT "default"
#define PK_KEYS_MAX 256

/* The folder, whether it exists or not; to be freed by the caller. NULL: see `e` (neither variable is set). */
char *pk_keys_folder(struct pk_error *e);

/* Makes the folder (mode 0700) and a new key pair `name` in it (letters, digits, '-', '_'); an existing one is an
 * error.
 */
bool pk_keys_create(const char *name, struct pk_key *key, struct pk_error *e);

/* Reads the private key `name`. `missing` (may be NULL) tells that there is none, from other failures. */
bool pk_keys_private(const char *name, struct pk_key *key, bool *missing, struct pk_error *e);

/* All public keys of the store, in order of their names, at most PK_KEYS_MAX. *xy is to be freed by the caller; no
 * folder is no key. */
bool pk_keys_public(uint8_t (**xy)[64], size_t *count, struct pk_error *e);

#endif
