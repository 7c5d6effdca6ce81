/* SPDX-License-Identifier: Apache-2.0
 *
 * Which keys this user trusts: the public keys of the key store, or those of one file given on the command line. */
#ifndef TOOL_TRUST_H
#define TOOL_TRUST_H

#include "runtime/moxie.h"

struct trust {
    struct moxie_trust library; /* points into `keys` */
    struct moxie_key *keys;
};

/* `pub`: path of a public key file that alone is trusted; NULL: every key of the store. An exit status, reported. */
int trust_open(struct trust *trust, const char *pub);

/* Trusts one key only, a point X || Y. */
int trust_key(struct trust *trust, const uint8_t xy[64]);

void trust_close(struct trust *trust);

#endif
