/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor names: from GGUF's to those of Hugging Face checkpoints (pack/source.h). */
#ifndef PK_GGUF_NAMES_H
#define PK_GGUF_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

enum pk_gguf_kind {
    PK_GGUF_PLAIN, /* one tensor to one tensor */
    PK_GGUF_STACK, /* (expert, row, column): `name` is the prefix that the expert's index follows, `suffix` the rest */
    PK_GGUF_ROTATED, /* q or k: rows are permuted inside heads where the family is `interleaved` */
    PK_GGUF_UNKNOWN, /* the name is kept */
};

/* Writes the canonical name of `gguf` [length] to `name` [size]; `suffix` is set for stacks. A name that would not fit
 * counts as unknown. `size` is at least 64. */
enum pk_gguf_kind pk_gguf_map_name(const char *gguf, size_t length, char *name, size_t size, const char **suffix);

#endif
