/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer compiler: vocabulary files of any source -> struct pk_vocab -> the blob of runtime/tokenizer_format.h.
 * The same vocabulary gives the same bytes. */
#ifndef PK_TOKENIZER_H
#define PK_TOKENIZER_H

#include <jansson.h>

#include "pack/folder.h"
#include "pack/source.h"
#include "runtime/tokenizer_format.h"

/* How a vocabulary file writes the bytes of normal tokens. */
enum pk_alphabet {
    PK_ALPHABET_PRINTABLE, /* every byte as one printable character: GPT-2 */
    PK_ALPHABET_SPACES,    /* UTF-8 with U+2581 for a space, <0x0A> for a byte: SentencePiece */
    PK_ALPHABET_RAW,       /* as they are: tiktoken */
};

struct pk_vocab_token {
    const char *text; /* normal: in the alphabet; control and user: as it stands in texts */
    uint32_t bytes;
    uint32_t kind; /* enum mx_tok_kind */
};

struct pk_vocab_merge {
    const char *left, *right; /* in the alphabet */
    uint32_t left_bytes, right_bytes;
};

#define PK_ENDS_MAX 8u

/* A BPE vocabulary. Texts are borrowed from what `owned` and `json` hold, or from the GGUF header. */
struct pk_vocab {
    char *path; /* for error messages */
    enum pk_alphabet alphabet;
    struct pk_vocab_token *tokens;
    uint32_t n_tokens;
    struct pk_vocab_merge *merges; /* in order of rank; those with a token that is not normal are left out */
    uint32_t n_merges;
    float *scores;              /* (n_tokens) with MX_TOK_RANKS: the highest is merged first; to be freed */
    uint32_t pretokenizer;      /* enum mx_tok_pretokenizer */
    uint32_t normalizer;        /* enum mx_tok_normalizer */
    uint32_t flags;             /* MX_TOK_ADD_BOS, … */
    uint32_t bos;               /* MX_TOK_NONE: none */
    uint32_t eos;               /* likewise */
    uint32_t unknown;           /* likewise */
    uint32_t ends[PK_ENDS_MAX]; /* all tokens that end an answer, as far as the vocabulary's files name them */
    uint32_t n_ends;

    char *owned;
    json_t *json[4];
};

void pk_vocab_free(struct pk_vocab *v);

/* From a Hugging Face folder: tokenizer.json, else vocab.json and merges.txt; tokenizer_config.json, added_tokens.json.
 * The end tokens found here are tokenizer_config's eos_token and <|im_end|>. A pre-tokenizer, normaliser or option that
 * the runtime does not have is refused by name. n_tokens is 0 when there are no such files. `v` is to be freed also
 * after a failure. */
bool pk_tokenizer_from_hf(const char *path, struct pk_vocab *v, struct pk_error *e);

/* The same from an open one, which errors call `name`. */
bool pk_tokenizer_from_folder(const struct pk_folder *folder, const char *name, struct pk_vocab *v, struct pk_error *e);

/* From a GGUF header, which must outlive `v`. */
bool pk_tokenizer_from_gguf(const struct pk_gguf *g, const char *path, struct pk_vocab *v, struct pk_error *e);

/* From a checkpoint of either kind, the whole way to the blob. *blob is NULL when the checkpoint has no tokenizer; else
 * to be freed by the caller. The tokenizer's end tokens join those of s->model. */
bool pk_tokenizer_from_source(struct pk_source *s, void **blob, size_t *bytes, struct pk_error *e);

/* Checks the vocabulary and writes the blob. */
bool pk_tokenizer_compile(const struct pk_vocab *v, void **blob, size_t *bytes, struct pk_error *e);

/* Template id of a checkpoint's Jinja text; MX_CHAT_NONE when it is NULL or none that the runtime renders. */
uint32_t pk_chat_template(const char *jinja);

#endif
