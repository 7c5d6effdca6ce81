/* SPDX-License-Identifier: Apache-2.0
 *
 * The compression function of SHA-256, which is where the time of verifying a bundle goes: `n` whole blocks of 64 bytes
 * are folded into `state`. */
#ifndef MX_SHA256_BLOCKS_H
#define MX_SHA256_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any machine: mbedTLS, about 0.2 GB/s on a PC. */
void mx_sha256_blocks_portable(uint32_t state[8], const uint8_t *blocks, size_t n);

/* x86 with the SHA instructions, about ten times as fast; to be called only where mx_sha256_x86_usable(). */
bool mx_sha256_x86_usable(void);
void mx_sha256_blocks_x86(uint32_t state[8], const uint8_t *blocks, size_t n);

#endif
