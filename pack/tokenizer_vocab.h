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

/* SentencePiece. Appends a piece; `type` and `score` are those of its files (pack/sentencepiece.h). */
bool pk_vocab_add_piece(struct pk_vocab *v, const char *text, size_t bytes, int64_t type, double score,
                        struct pk_error *e);

/* Sets the rules of SentencePiece, and checks that the pieces are those of a BPE with byte fallback. `prefix`: a space
 * is put before a text. */
bool pk_vocab_finish_pieces(struct pk_vocab *v, bool prefix, struct pk_error *e);

/* Reads the file `name`, a SentencePiece model. */
bool pk_vocab_read_sentencepiece(const struct pk_folder *folder, const char *name, struct pk_vocab *v,
                                 struct pk_error *e);

/* Reads the file `name`, in which Qwen's first generation has its vocabulary: lines "base64 rank". */
bool pk_vocab_read_tiktoken(const struct pk_folder *folder, const char *name, struct pk_vocab *v, struct pk_error *e);

/* Adds an end token, once. */
bool pk_vocab_add_end(struct pk_vocab *v, uint64_t id, struct pk_error *e);

/* The bytes that token `id` decodes to, at most as many as its text has, and their number; -1: the text is not in the
 * alphabet. */
int64_t pk_vocab_bytes(const struct pk_vocab *v, uint32_t id, uint8_t *out);

/* The same for a normal token of text[0 .. bytes). */
int64_t pk_vocab_plain_bytes(const struct pk_vocab *v, const char *text, uint32_t bytes, uint8_t *out);

/* The byte that "<0x0A>" names, -1 if `text` is not of this form. */
int pk_vocab_byte_name(const char *text, size_t bytes);

bool pk_is_utf8(const char *text, size_t bytes);

/* Reads how tokenizer.json (`j` is its root) splits and joins text: normalizer, pre_tokenizer, post_processor, decoder
 * and the options of the model. What the runtime does not have is refused by name. */
bool pk_hf_tokenizer_rules(const struct pk_json *j, struct pk_vocab *v);

#endif
