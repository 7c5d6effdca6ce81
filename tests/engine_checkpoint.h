/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint made on the spot, for tests that need another shape than the committed ones have. */
#ifndef TESTS_ENGINE_CHECKPOINT_H
#define TESTS_ENGINE_CHECKPOINT_H

#include <stdint.h>

struct checkpoint_shape {
    uint32_t layers, hidden, heads, kv_heads, width, experts, top_k, vocab, positions;
};

/* A Hugging Face folder with a tied qwen2_moe of pseudo-random float32 weights and a gated shared expert of `width`; to
 * be removed by remove_folder. */
char *checkpoint_make(const struct checkpoint_shape *shape);

#endif
