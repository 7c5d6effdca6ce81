/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a struct pk_vocab: what the importers of both kinds share, and the two halves of the Hugging Face one. */
#ifndef PK_TOKENIZER_VOCAB_H
#define PK_TOKENIZER_VOCAB_H

#include "pack/json_util.h"
#include "pack/tokenizer.h"

bool pk_vocab_init(struct pk_vocab *v, const char *path, struct pk_error *e);

/* Gives token `id` its text (borrowed) and kind, and makes room for it. A token may be set again with the same text and
 * another kind (an added token that stands in the vocabulary too); another text is an error. */
bool pk_vocab_set(struct pk_vocab *v, int64_t id, const char *text, size_t bytes, uint32_t kind, struct pk_error *e);

/* Room for n more merges. */
bool pk_vocab_reserve_merges(struct pk_vocab *v, uint64_t n, struct pk_error *e);

/* Appends the merge in `text`, "left right". */
bool pk_vocab_add_merge(struct pk_vocab *v, const char *text, size_t bytes, struct pk_error *e);

/* Id of the first token with this text, special ones first; MX_TOK_NONE when there is none. */
uint32_t pk_vocab_find(const struct pk_vocab *v, const char *text, size_t bytes);

/* Reads how tokenizer.json (`j` is its root) splits and joins text: normalizer, pre_tokenizer, post_processor, decoder
 * and the options of the model. What the runtime does not have is refused by name. */
bool pk_hf_tokenizer_rules(const struct pk_json *j, struct pk_vocab *v);

#endif
