/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing the next token. A function of (logits, options, position) alone: the same on every machine, because values
 * are touched only by + - * fma and comparisons, and everything from the weights on is integer arithmetic. */
#ifndef MX_SAMPLE_H
#define MX_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/moxie_error.h"

/* Filters are applied in this order, which is that of Hugging Face's generate(): repetition penalty, allowed tokens,
 * and unless greedy temperature, top_k, top_p, min_p, one draw. Zero turns a filter off. */
struct mx_sample_options {
    float temperature;        /* logits are divided by it; 0: greedy, the largest logit */
    uint32_t top_k;           /* keep the k largest and all that equal the k-th */
    float top_p;              /* keep the fewest most probable tokens that have this mass together; 1: off */
    float min_p;              /* keep what is at least this probable relative to the most probable; at most 1 */
    float repetition_penalty; /* of tokens in `history`: positive logits are divided by it, negative ones multiplied */
    uint32_t choice;          /* another stream of random numbers for the same seed, e.g. the n of several answers */
    uint64_t seed;
    const uint32_t *allowed; /* (ceil(vocab / 32)) bit i of word i / 32: token i may be chosen; NULL: all */
    const int32_t *history;  /* (history_count) ids that the penalty looks at, repeats count once */
    size_t history_count;
};

/* Bytes of scratch, 4-byte aligned, for a vocabulary of `vocab` tokens. */
size_t mx_sample_scratch(uint32_t vocab);

/* Chooses a token from logits (vocab), which are not changed. `position` is the token's place in the sequence and keys
 * the random numbers: nothing is kept between calls. Equal logits: the lower id comes first, in the argmax and in every
 * filter. A token that is 2^-40 times as probable as the most probable one, or less, is never drawn.
 *
 * MOXIE_ERROR_NOT_FINITE: a logit is NaN or infinite (`offset` is its index), whether allowed or not.
 * MOXIE_ERROR_TOKEN: an id in history is outside the vocabulary. MOXIE_ERROR_ARGUMENT: an option out of range, nothing
 * allowed, or scratch missing. */
enum moxie_error mx_sample(const float *logits, uint32_t vocab, const struct mx_sample_options *options,
                           uint64_t position, void *scratch, size_t scratch_bytes, int32_t *token,
                           struct moxie_failure *failure);

/* Whether none of v (n) is NaN or infinite. */
bool mx_finite(const float *v, size_t n);

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC'11). */
void mx_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
