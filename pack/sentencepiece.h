/* SPDX-License-Identifier: Apache-2.0
 *
 * SentencePiece's tokenizer.model: a protobuf message ModelProto. Read by hand, because the file may be hostile and
 * only these fields matter; unknown fields are skipped, as protobuf demands. */
#ifndef PK_SENTENCEPIECE_H
#define PK_SENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

enum pk_piece_type {
    PK_PIECE_NORMAL = 1,
    PK_PIECE_UNKNOWN = 2,
    PK_PIECE_CONTROL = 3,
    PK_PIECE_USER = 4,
    PK_PIECE_UNUSED = 5,
    PK_PIECE_BYTE = 6,
};

struct pk_piece {
    const char *text; /* into the file's bytes */
    size_t bytes;
    uint64_t type; /* enum pk_piece_type, as far as the file tells the truth */
    float score;
};

#define PK_SENTENCEPIECE_BPE 2u

struct pk_sentencepiece {
    struct pk_piece *pieces; /* (n), in order of their ids */
    size_t n;
    uint64_t model_type;
    int64_t unknown, bos, eos; /* ids; -1: none */
    bool suffix_spaces;        /* words end with their space */
    bool dummy_prefix;         /* a space is put before a text */
    bool remove_extra_spaces;  /* runs of spaces become one */
    bool escape_spaces;        /* spaces become U+2581 */
    bool has_character_map;    /* there is a table of normalisation (of texts, or of what is decoded) */
    const char *normalizer;    /* its name (normalizer_bytes), into the file's bytes */
    size_t normalizer_bytes;
};

/* Reads the bytes of a file, which must outlive `m`. To be freed, also after a failure. */
bool pk_sentencepiece_read(struct pk_sentencepiece *m, const void *bytes, size_t n, const char *path,
                           struct pk_error *e);
void pk_sentencepiece_free(struct pk_sentencepiece *m);

#endif
