/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoint of a synthetic bundle as a GGUF file, so that another runtime can be measured on the same weights. */
#ifndef TOOL_SYNTHETIC_GGUF_H
#define TOOL_SYNTHETIC_GGUF_H

#include "pack/source.h"

/* Writes `s` (of synthetic_open, in groups of 32, not yet packed) to `path`: Q4_0 matrices, F32 vectors and routers,
 * and a vocabulary of invented tokens. Temporary file, fsync, rename. Architectures: qwen2_moe, qwen2, llama. */
bool synthetic_gguf(const struct pk_source *s, const char *path, struct pk_error *e);

#endif
