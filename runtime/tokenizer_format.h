/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a compiled tokenizer: the tokenizer segment of a bundle, used in place from a read-only mapping. Written
 * by pack/tokenizer_compile.c, checked and read by runtime/tokenizer.c. All integers are little-endian.
 *
 * A blob is this header, then the sections below, in this order. Each starts at the next multiple of 8; the bytes
 * skipped are zero. There are no other bytes, so the sections' places follow from the counts (mx_tok_layout).
 *
 *   offsets      u32[tokens + 1]   token i is pool[offsets[i] .. offsets[i + 1])
 *   byte_tokens  u32[256]          token that stands for a single byte; MX_TOK_NONE when there is none
 *   ranks        u32[tokens]       only with MX_TOK_RANKS: the pair that becomes the token of lowest rank is merged
 *                                  first; MX_TOK_NONE: merging does not make this token
 *   merges       {left, right, merged}[merges]; without MX_TOK_RANKS: the index is the rank
 *   merge_slots  u32[merge_slots]  hash table (mx_tok_pair_hash) of merge indices, MX_TOK_NONE = empty
 *   token_slots  u32[token_slots]  hash table (mx_tok_bytes_hash) of the ids of all normal tokens, MX_TOK_NONE = empty
 *   specials     u32[specials]     ids of all control and user tokens, strictly ascending by their bytes
 *   kinds        u8[tokens]        enum mx_tok_kind
 *   pool         u8[pool_bytes]    token texts as the bytes that they decode to: neither in the printable alphabet of
 *                                  GPT-2's files nor with the U+2581 for spaces of SentencePiece's
 *
 * Hash tables: a power of two of slots, more than there are entries; linear probing upwards, wrapping; every entry is
 * found within MX_TOK_PROBES slots from its hash. */
#ifndef MX_TOKENIZER_FORMAT_H
#define MX_TOKENIZER_FORMAT_H

#include <stdint.h>

#define MX_TOK_MAGIC "MOXIETK1" /* 8 bytes, no NUL */
#define MX_TOK_NONE 0xffffffffu
#define MX_TOK_COUNT_MAX (1u << 22)   /* tokens, merges */
#define MX_TOK_POOL_MAX (1u << 30)    /* bytes */
#define MX_TOK_BYTES_MAX 65535u       /* of one token */
#define MX_TOK_SPECIAL_BYTES_MAX 256u /* of one control or user token */
#define MX_TOK_PROBES 64u

enum mx_tok_kind {
    MX_TOK_NORMAL = 0,  /* made by merging; 1 byte at least */
    MX_TOK_CONTROL = 1, /* UTF-8; recognised only in trusted text, decodes to nothing */
    MX_TOK_USER = 2,    /* UTF-8; added by the vocabulary's makers, recognised in every text, decodes to itself */
    MX_TOK_UNUSED = 3,  /* no bytes: a hole in the ids */
    MX_TOK_BYTE = 4,    /* decodes to its bytes, and merging neither makes nor takes it: <0x0A> of SentencePiece */
};

/* Where a text is cut before merging. */
enum mx_tok_pretokenizer {
    MX_TOK_PRE_GPT2 = 1,
    MX_TOK_PRE_QWEN2 = 2,
    MX_TOK_PRE_SMOLLM = 3,   /* every numeric character by itself, then GPT-2's rule inside each piece */
    MX_TOK_PRE_DEEPSEEK = 4, /* the seven steps of DeepSeek LLM */
    MX_TOK_PRE_SEAMS = 5,    /* not at all. As no merge can cross a seam, where two characters meet that are neighbours
                                in no token, the text is cut there: the same ids from little memory */
};

enum mx_tok_normalizer {
    MX_TOK_NORMAL_NONE = 0,
    MX_TOK_NORMAL_NFC = 1,
    MX_TOK_NORMAL_SPACES = 2, /* U+2581, which SentencePiece writes for a space, becomes one */
};

#define MX_TOK_ADD_BOS 1u        /* a text starts with bos */
#define MX_TOK_IGNORE_MERGES 2u  /* a pre-token that is a token is taken whole */
#define MX_TOK_CHARACTERS 4u     /* merging starts from characters, not bytes; one that is no token becomes its bytes */
#define MX_TOK_RANKS 8u          /* what two neighbours merge to is looked up by their bytes, its rank in `ranks` */
#define MX_TOK_PREFIX 16u        /* a space is put before a text, and before one that follows a control token */
#define MX_TOK_PREFIX_FIRST 32u  /* the space of MX_TOK_PREFIX comes only where nothing precedes */
#define MX_TOK_PREFIX_UNLESS 64u /* and only if the text does not begin with one */
#define MX_TOK_STRIP 128u        /* decoding drops one space at the beginning */
#define MX_TOK_FLAGS 255u

struct mx_tok_header {
    char magic[8];
    uint64_t bytes;  /* of the whole blob */
    uint32_t tokens; /* at least 1; the model's rows of logits may be more: such ids have no text */
    uint32_t merges;
    uint32_t merge_slots;
    uint32_t token_slots;
    uint32_t specials;
    uint32_t pool_bytes;
    uint32_t pretokenizer; /* enum mx_tok_pretokenizer */
    uint32_t normalizer;   /* enum mx_tok_normalizer */
    uint32_t flags;
    uint32_t bos;          /* MX_TOK_NONE: none */
    uint32_t eos;          /* closes an answer in chat templates that name no other token; MX_TOK_NONE: none */
    uint32_t unknown;      /* what a byte without a token becomes; MX_TOK_NONE: such text is an error */
    uint32_t reserved[16]; /* 0 */
};

struct mx_tok_merge {
    uint32_t left, right; /* ids of normal tokens */
    uint32_t merged;      /* normal token whose bytes are left's and then right's */
};

#ifndef __cplusplus
_Static_assert(sizeof(struct mx_tok_header) == 128 && sizeof(struct mx_tok_merge) == 12, "no padding");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tables are used in place");
#endif

/* Offsets of the sections from the blob's start, and the blob's length. */
struct mx_tok_layout {
    uint64_t offsets, byte_tokens, ranks, merges, merge_slots, token_slots, specials, kinds, pool, end;
};

static inline uint64_t mx_tok_align(uint64_t offset) {
    return (offset + 7) & ~(uint64_t)7;
}

static inline struct mx_tok_layout mx_tok_layout(const struct mx_tok_header *h) {
    struct mx_tok_layout l;
    l.offsets = sizeof *h;
    l.byte_tokens = mx_tok_align(l.offsets + 4 * ((uint64_t)h->tokens + 1));
    l.ranks = l.byte_tokens + 4 * 256;
    l.merges = mx_tok_align(l.ranks + (h->flags & MX_TOK_RANKS ? 4 * (uint64_t)h->tokens : 0));
    l.merge_slots = mx_tok_align(l.merges + sizeof(struct mx_tok_merge) * (uint64_t)h->merges);
    l.token_slots = mx_tok_align(l.merge_slots + 4 * (uint64_t)h->merge_slots);
    l.specials = mx_tok_align(l.token_slots + 4 * (uint64_t)h->token_slots);
    l.kinds = mx_tok_align(l.specials + 4 * (uint64_t)h->specials);
    l.pool = mx_tok_align(l.kinds + h->tokens);
    l.end = mx_tok_align(l.pool + h->pool_bytes);
    return l;
}

/* Finaliser of MurmurHash3 (public domain): every input bit reaches every output bit. */
static inline uint32_t mx_tok_mix(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

static inline uint32_t mx_tok_pair_hash(uint32_t left, uint32_t right) {
    return mx_tok_mix(left * 0x9e3779b1u ^ mx_tok_mix(right));
}

/* FNV-1a, mixed. */
static inline uint32_t mx_tok_bytes_hash(const uint8_t *bytes, uint32_t n) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ bytes[i]) * 16777619u;
    }
    return mx_tok_mix(h);
}

#endif
