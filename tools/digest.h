/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of logits: what two machines compare. */
#ifndef TOOL_DIGEST_H
#define TOOL_DIGEST_H

#include <mbedtls/sha256.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest {
    mbedtls_sha256_context sha;
};

void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *bytes, size_t n);

/* A row of logits, as little-endian float32 whatever the machine's order is. */
void digest_row(struct digest *d, const float *row, uint32_t n);

/* In hexadecimal; d may begin anew afterwards. digest_now leaves it running. */
void digest_end(struct digest *d, char hex[65]);
void digest_now(const struct digest *d, char hex[65]);

/* Of a whole file. False: see errno. */
bool digest_file(const char *path, char hex[65]);

#endif
