/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole-model vectors: tiny models of every architecture and weight format, made from code, token ids to feed them, and
 * the digests of their logits as the NumPy twin has them (tools/vector_table.c, written by
 * tests/reference/make_vectors.py). */
#ifndef TOOL_VECTORS_H
#define TOOL_VECTORS_H

#include "tools/engine.h"
#include "tools/synthetic.h"

struct vector_model {
    const char *name; /* "qwen2_moe-I4-32" */
    const struct synthetic_shape *shape;
    struct synthetic_kind kind;
    bool small; /* one of those for slow drivers */
};

/* All of them; ends with one whose name is NULL. */
extern const struct vector_model vector_models[];

/* A way to feed a prompt: `chunk` tokens a step (0: all at once), with batch - 1 other sequences beside it. No way
 * changes a bit. */
struct vector_way {
    uint32_t batch, chunk;
    bool small;
};
extern const struct vector_way vector_ways[]; /* ends with batch 0 */

/* Prompts are the first 33 and 150 tokens of a model's stream; small: 70. All but the first span KV blocks. */
enum { VECTOR_TOKENS = 150, VECTOR_BATCH = 5, VECTOR_PROMPTS = 2, VECTOR_SMALL_PROMPTS = 1 };
extern const uint32_t vector_prompts[VECTOR_PROMPTS], vector_small_prompts[VECTOR_SMALL_PROMPTS];

/* Token `position` of sequence `sequence` of a model; the prompt is sequence 0. */
int32_t vector_token(uint32_t vocab, uint32_t sequence, uint32_t position);

/* The digest that the logits of model i must have, in hexadecimal; NULL: the table has none (it is being made). */
const char *vector_expected(const char *model, uint32_t tokens);

/* Whether a run has this model: the one that was named, or else (NULL) all, those that are small or all of them. */
bool vector_chosen(const struct vector_model *model, bool small, const char *named);

/* The fingerprint that a run must have: SHA-256 of its digests in hexadecimal, model by model, prompt by prompt, way by
 * way. */
void vector_fingerprint(bool small, const char *named, char hex[65]);

/* Packs model i and opens it; `sha256` [65] becomes the digest of the bundle's bytes, and with `keep` the file stays at
 * that path. An exit status, reported. */
int vector_open(struct engine *engine, const struct vector_model *model, const char *keep, char sha256[65]);

/* One line of the table. */
struct vector_digest {
    const char *model;
    uint32_t tokens;
    const char *sha256;
};
extern const struct vector_digest vector_table[]; /* ends with a model that is NULL */

#endif
