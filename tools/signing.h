/* SPDX-License-Identifier: Apache-2.0
 *
 * The key that signs what this user packs. */
#ifndef TOOL_SIGNING_H
#define TOOL_SIGNING_H

#include "pack/sign.h"

/* Reads the private key in `path`; NULL: the key store's. To be wiped (pk_key_wipe). An exit status, reported. */
int signing_key_read(struct pk_key *key, const char *path);

#endif
