/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a bundle, as C structs: the one header that pack/ and runtime/ share. pack/SPEC.md says the same in
 * words, with the rules that a struct cannot say. All integers are little-endian, every struct has no implicit
 * padding, and "reserved" bytes are zero and are checked.
 *
 * A bundle is a ustar archive:
 *   manifest   signed; the first member        struct mx_manifest, then its tables
 *   signature  struct mx_signature over the manifest
 *   tree       SHA-256 leaves of all segments, in segment order
 *   (pad.N)    zero filler so that the next member's data starts at a multiple of 64 KiB
 *   host       tokenizer, licence                       } segments: each starts at a multiple of 4 KiB and is
 *   layer.NNN  attention, norms, router, experts        } zero-padded to one
 *   dense      embedding, final norm, head, inv_freq    }
 * and ends in exactly two zero blocks. Every header is a pure function of (name, size), so a reader compares it whole.
 */
#ifndef MX_BUNDLE_FORMAT_H
#define MX_BUNDLE_FORMAT_H

#include <stdint.h>

#define MX_BUNDLE_MAGIC "MOXIEBN1"  /* 8 bytes, no NUL */
#define MX_BUNDLE_MAJOR 1u          /* another major version is refused */
#define MX_BUNDLE_MINOR 0u          /* a higher minor version is accepted: it only adds what may be ignored */
#define MX_ARITHMETIC_ID 1u         /* runtime/ARITHMETIC.md, version 1 */
#define MX_SEGMENT_ALIGN 4096u      /* segment start and length */
#define MX_MEMBER_ALIGN 65536u      /* data of a member that holds segments */
#define MX_LEAF_BYTES 65536u        /* Merkle leaf */
#define MX_PLANE_ALIGN 256u         /* planes of a tensor inside a segment */
#define MX_SEGMENT_MAX 1073676288u  /* 1 GiB - 64 KiB: a segment fits a device window */
#define MX_MANIFEST_MAX (64u << 20) /* larger is refused before it is read */
#define MX_MEMBER_MAX 8589869056ull /* 8 GiB - 64 KiB: sizes in plain octal */
#define MX_NONE 0xffffffffu

/* Limits of a model. */
#define MX_HIDDEN_MAX 65536u
#define MX_LAYERS_MAX 1024u
#define MX_HEADS_MAX 1024u
#define MX_HEAD_DIM_MAX 256u
#define MX_VOCAB_MAX (1u << 22)
#define MX_POSITIONS_MAX (1u << 18)
#define MX_WIDTH_MAX (1u << 20)
#define MX_ROUTED_MAX 1024u
#define MX_TOP_K_MAX 16u
#define MX_SHARED_MAX 64u
#define MX_COUNTER_MAX 0xffffffffu /* of security_counter: no signed mistake can use up all later ones */

/* Domain separation: each hash starts with one 64-byte block that holds this text, zero-padded. */
#define MX_DOMAIN_MANIFEST "moxie manifest v1" /* SHA-256(block || manifest bytes) is what is signed */
#define MX_DOMAIN_LEAF "moxie leaf v1"         /* SHA-256(block || up to 64 KiB of the segment) */
#define MX_DOMAIN_SEGMENT                                                                                              \
    "moxie segment v1" /* SHA-256(block || u32 index, kind, layer, expert || u64 bytes || leaves) */

/* Weight formats. Tiles of 16 rows; K = cols padded to a multiple of 32 (kp); groups = ceil(cols / group).
 *   I4   value = scale * (q - 8)            data: atoms of 16 rows x 32 k, 256 bytes each  [tile][kp/32][256]
 *   I4Z  value = scale * (q - zero)         extra: u8 zero-points                          [tile][groups][16]
 *   I4M  value = scale * q + min            extra: minimums, same type as the scales       [tile][groups][16]
 *   I8   value = scale * q, q in -127..127  data: atoms of 512 bytes                       [tile][kp/32][512]
 *   BF16 F16 F32                            data: one element per row and k                [tile][kp][16]
 *   VECTOR  plain float32 array [rows], cols = 1 (norm weights, biases, inv_freq)
 * Scales: [tile][groups][16], float16 or float32. Rows are padded to 16, padded rows and columns hold value 0
 * (q = 8, zero or 0, scale 0, min 0).
 * Int4 atom: byte (q*16 + row)*4 + j, q = 0..3, j = 0..3: low nibble is k = 4q + j, high nibble k = 16 + 4q + j.
 * Int8 atom: byte (q*16 + row)*4 + j, q = 0..7: k = 4q + j (two 256-byte halves). */
enum mx_format {
    MX_FORMAT_I4 = 1,
    MX_FORMAT_I4Z = 2,
    MX_FORMAT_I4M = 3,
    MX_FORMAT_I8 = 4,
    MX_FORMAT_BF16 = 5,
    MX_FORMAT_F16 = 6,
    MX_FORMAT_F32 = 7,
    MX_FORMAT_VECTOR = 8,
};

enum mx_scale_type { MX_SCALE_NONE = 0, MX_SCALE_F16 = 1, MX_SCALE_F32 = 2 };

/* What a tensor is. A matrix may come in several tensors of one role that differ in row_offset (q, k, v of different
 * formats; a head too large for one segment). All tensors of one input site have the same activation group. */
enum mx_role {
    MX_ROLE_EMBEDDING = 1,  /* [vocab][hidden] */
    MX_ROLE_FINAL_NORM = 2, /* vector [hidden] */
    MX_ROLE_HEAD = 3,       /* [vocab][hidden]; absent when tied: then the embedding's tensors are read */
    MX_ROLE_INV_FREQ = 4,   /* vector [head_dim / 2] */
    MX_ROLE_ATTN_NORM = 5,  /* vector [hidden] */
    MX_ROLE_QKV = 6,      /* [(heads + 2 kv_heads) * head_dim][hidden]: q rows, k rows, v rows; site: attention input */
    MX_ROLE_QKV_BIAS = 7, /* vector [(heads + 2 kv_heads) * head_dim], optional */
    MX_ROLE_QK_NORM = 8,  /* optional, not beside a bias. Vector [2 * head_dim]: weights of the norm of every head of q,
                             then of k; or [(heads + kv_heads) * head_dim]: of all of q, then of all of k */
    MX_ROLE_ATTN_OUT = 9, /* [hidden][heads * head_dim]; site: attention output */
    MX_ROLE_FFN_NORM = 10,    /* vector [hidden] */
    MX_ROLE_ROUTER = 11,      /* F32 [routed, or with two layers any number][hidden], then two rows for each constant
                                 expert, then one with a shared gate */
    MX_ROLE_ROUTER_MORE = 12, /* F32 [routed with two layers + routed with carried logits][rows of the first layer, or
                                 routed]: the router's second layer, then the map of the carried logits (the columns
                                 from routed on are 0) */
    MX_ROLE_CONSTANTS = 13,   /* vector [constants * hidden]: what the constant experts give */
    MX_ROLE_GATE_UP = 14, /* [2 * width'][hidden], width' = width padded to 16: tile 2i is gate tile i, 2i+1 up tile i;
                             site: FFN input; one copy in each expert segment of the layer */
    MX_ROLE_DOWN = 15,    /* [hidden][width]; site: FFN middle; one copy in each expert segment of the layer */
};

enum mx_segment_kind {
    MX_SEGMENT_TOKENIZER = 1, /* host: runtime/tokenizer_format.h */
    MX_SEGMENT_LICENSE = 2,   /* host: UTF-8 text */
    MX_SEGMENT_LAYER = 3,     /* one layer's norms, attention matrices and router */
    MX_SEGMENT_EXPERT = 4,    /* one expert of one layer: gate_up and down */
    MX_SEGMENT_DENSE = 5,     /* embedding, head, final norm, inv_freq */
};

enum mx_kv_type { MX_KV_F16 = 1, MX_KV_F32 = 2, MX_KV_I8 = 3 };

enum mx_chat_template {
    MX_CHAT_NONE = 0,           /* base model */
    MX_CHAT_CHATML = 1,         /* no default system message */
    MX_CHAT_CHATML_QWEN2 = 2,   /* "You are a helpful assistant." */
    MX_CHAT_CHATML_QWEN25 = 3,  /* "You are Qwen, created by Alibaba Cloud. You are a helpful assistant." */
    MX_CHAT_CHATML_SMOLLM2 = 4, /* "You are a helpful AI assistant named SmolLM, trained by Hugging Face" */
    MX_CHAT_CHATML_QWEN15 = 5,  /* "You are a helpful assistant": the first Qwen1.5 */
    MX_CHAT_MISTRAL = 6,        /* [INST] and [/INST]: Mixtral and Mistral-Instruct */
    MX_CHAT_MISTRAL_SPACE = 7,  /* the same with a space behind an answer's end: the first Mistral-Instruct */
    MX_CHAT_MISTRAL_SYSTEM = 8, /* the same with spaces before [INST] and answers, and with a system message */
    MX_CHAT_DEEPSEEK = 9,       /* "User: " and "Assistant:" */
    MX_CHAT_GEMMA = 10,         /* <start_of_turn> and <end_of_turn>; the assistant is called model */
    MX_CHAT_LAST = MX_CHAT_GEMMA,
};

#define MX_LAYER_NORM_TOPK 1u   /* selected routing weights are divided by their sum */
#define MX_LAYER_SHARED_GATE 2u /* the shared expert is weighted by sigmoid(last router row), else by 1 */
#define MX_LAYER_GELU 4u        /* gate by GELU (its tanh form) instead of SiLU */
#define MX_LAYER_TWO_LAYERS 8u  /* the router has a second layer behind a tanh */
#define MX_LAYER_CARRIED 16u    /* the layer before's router logits are added, mapped */
#define MX_LAYER_ZERO_APART 32u /* zero experts have weight 0 before the division by the sum */
#define MX_LAYER_FLAGS 63u

/* A segment: the unit of hashing, reading and (later) caching. 80 bytes. */
struct mx_segment {
    uint32_t kind;       /* enum mx_segment_kind */
    uint32_t layer;      /* MX_NONE when not of a layer */
    uint32_t expert;     /* MX_NONE when not an expert; routed experts with matrices from 0, then the shared parts */
    uint32_t first_leaf; /* index into the tree */
    uint64_t offset;     /* in the bundle, multiple of MX_SEGMENT_ALIGN */
    uint64_t bytes;      /* padded length, multiple of MX_SEGMENT_ALIGN, at most MX_SEGMENT_MAX */
    uint64_t used;       /* length before padding */
    uint64_t reserved;
    uint8_t root[32];
};

/* A tensor, or for experts the same tensor in `segments` consecutive segments. Offsets count from the segment's start
 * and are multiples of MX_PLANE_ALIGN. 64 bytes. */
struct mx_tensor {
    uint32_t role;       /* enum mx_role */
    uint32_t format;     /* enum mx_format */
    uint32_t layer;      /* MX_NONE for the model's own */
    uint32_t segment;    /* first segment */
    uint32_t segments;   /* number of consecutive segments that hold it */
    uint32_t rows;       /* logical rows of this tensor */
    uint32_t cols;       /* logical K */
    uint32_t row_offset; /* where its rows start in the whole matrix, multiple of 16 */
    uint32_t group;      /* 32, 64 or 128 for integer formats, 0 for float formats */
    uint32_t scale_type; /* enum mx_scale_type */
    uint32_t data;       /* plane offsets; MX_NONE when the format has no such plane */
    uint32_t scale;
    uint32_t extra;
    uint32_t reserved[3];
};

/* One layer. A dense FFN is a layer with routed = 0 and shared = 1 of weight 1. The last of the routed experts may be
 * light: without matrices, first the constant ones, then those that copy their input, then those that give 0. The
 * others have a segment each, the first `routed - light`. 32 bytes. */
struct mx_layer {
    uint32_t routed;       /* number of routed experts, with the light ones */
    uint32_t top_k;        /* experts per token */
    uint32_t shared;       /* always-selected experts: parts of the shared expert, or the dense FFN */
    uint32_t width;        /* of one expert */
    uint32_t flags;        /* MX_LAYER_* */
    uint32_t first_expert; /* segment of expert 0; the others follow, then the shared parts */
    uint8_t constants, copies, zeros, reserved;
    float deviation; /* router logits are scaled to this standard deviation; 0: they are not */
};

/* A member of the archive other than the fillers, in file order. 64 bytes. */
struct mx_member {
    char name[40];   /* NUL-padded */
    uint64_t offset; /* of the data (the header is the 512 bytes before) */
    uint64_t bytes;
    uint64_t reserved;
};

/* Sampling defaults of generation_config.json; zero = the field is not set there. */
struct mx_generation {
    uint32_t do_sample;
    float temperature;
    uint32_t top_k;
    float top_p;
    float min_p;
    float repetition_penalty;
    uint32_t reserved[2];
};

struct mx_model {
    char id[64];           /* model name, NUL-padded UTF-8 */
    char architecture[32]; /* "qwen2_moe", "qwen2", "llama": information, the tables decide */
    uint32_t hidden;
    uint32_t layers;
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_dim; /* even, at most 256 */
    uint32_t vocab;
    uint32_t max_positions;
    uint32_t kv_type; /* enum mx_kv_type */
    float rms_eps;
    float inv_hidden;       /* 1 / hidden, rounded to nearest */
    float attn_scale;       /* 1 / sqrt(head_dim), rounded to nearest */
    float rope_theta;       /* information; inv_freq decides */
    uint32_t tied;          /* 1: the head is the embedding */
    uint32_t chat_template; /* enum mx_chat_template */
    uint32_t bos;           /* MX_NONE: none */
    uint32_t eos_count;     /* at most 8 */
    uint32_t eos[8];        /* union of all end tokens */
    float embedding_scale;  /* factor of the embedding's rows; 0: none */
    uint32_t reserved[7];
    struct mx_generation generation;
};

/* The manifest: this header, then the tables, each at the offset given (from the manifest's start, multiple of 8),
 * packed in this order without gaps. */
struct mx_manifest {
    char magic[8];
    uint32_t major, minor;
    uint32_t arithmetic;
    uint32_t min_runtime;    /* MOXIE_VERSION of the oldest library that can run it */
    uint64_t manifest_bytes; /* header and tables */
    uint64_t bundle_bytes;   /* the whole file */
    uint64_t security_counter;
    uint64_t weight_parameters;   /* information: parameters in matrices */
    uint8_t tokenizer_sha256[32]; /* of the tokenizer segment's used bytes */
    struct mx_model model;
    uint32_t members_offset, members;
    uint32_t layers_offset, layers;
    uint32_t segments_offset, segments;
    uint32_t tensors_offset, tensors;
    uint64_t leaves; /* 32-byte hashes in the tree member */
    uint64_t reserved[4];
};

/* The signature member. The key id (SHA-256 of 0x04 || X || Y) selects a pinned key, and the key fixes the algorithm:
 * ECDSA P-256 over SHA-256, deterministic (RFC 6979), raw big-endian r || s. 96 bytes. */
struct mx_signature {
    uint8_t key_id[32];
    uint8_t rs[64];
};

/* Experts of a layer without matrices, and those that have a segment: routed ones, then the shared parts. */
static inline uint32_t mx_layer_light(const struct mx_layer *l) {
    return (uint32_t)l->constants + l->copies + l->zeros;
}

static inline uint32_t mx_layer_experts(const struct mx_layer *l) {
    return l->routed - mx_layer_light(l) + l->shared;
}

/* Router rows behind the logits: two for each constant expert, one for the shared gate. */
static inline uint32_t mx_layer_router_extra(const struct mx_layer *l) {
    return 2u * l->constants + (l->flags & MX_LAYER_SHARED_GATE ? 1 : 0);
}

/* Rows of MX_ROLE_ROUTER_MORE; 0: there is none. */
static inline uint32_t mx_layer_router_more(const struct mx_layer *l) {
    return l->routed * ((l->flags & MX_LAYER_TWO_LAYERS ? 1 : 0) + (l->flags & MX_LAYER_CARRIED ? 1 : 0));
}

/* Integers with scales: their input is quantised too. */
static inline int mx_format_is_integer(uint32_t format) {
    return format >= MX_FORMAT_I4 && format <= MX_FORMAT_I8;
}

/* Bytes of a tensor's planes. They cannot wrap: rows and cols are below 2^24. */
static inline uint64_t mx_tensor_tiles(const struct mx_tensor *t) {
    return ((uint64_t)t->rows + 15) / 16;
}

static inline uint64_t mx_tensor_kp(const struct mx_tensor *t) {
    return ((uint64_t)t->cols + 31) / 32 * 32;
}

static inline uint64_t mx_tensor_groups(const struct mx_tensor *t) {
    return t->group ? ((uint64_t)t->cols + t->group - 1) / t->group : 0;
}

static inline uint64_t mx_tensor_data_bytes(const struct mx_tensor *t) {
    uint64_t elements = mx_tensor_tiles(t) * 16 * mx_tensor_kp(t);
    switch (t->format) {
    case MX_FORMAT_I4:
    case MX_FORMAT_I4Z:
    case MX_FORMAT_I4M:
        return elements / 2;
    case MX_FORMAT_I8:
        return elements;
    case MX_FORMAT_BF16:
    case MX_FORMAT_F16:
        return elements * 2;
    case MX_FORMAT_F32:
        return elements * 4;
    case MX_FORMAT_VECTOR:
        return (uint64_t)t->rows * 4;
    default:
        return 0;
    }
}

static inline uint64_t mx_tensor_scale_bytes(const struct mx_tensor *t) {
    uint64_t size = t->scale_type == MX_SCALE_F16 ? 2 : t->scale_type == MX_SCALE_F32 ? 4 : 0;
    return mx_tensor_tiles(t) * mx_tensor_groups(t) * 16 * size;
}

static inline uint64_t mx_tensor_extra_bytes(const struct mx_tensor *t) {
    return t->format == MX_FORMAT_I4M   ? mx_tensor_scale_bytes(t)
           : t->format == MX_FORMAT_I4Z ? mx_tensor_tiles(t) * mx_tensor_groups(t) * 16
                                        : 0;
}

#ifndef __cplusplus
_Static_assert(sizeof(struct mx_segment) == 80 && sizeof(struct mx_tensor) == 64 && sizeof(struct mx_layer) == 32 &&
                   sizeof(struct mx_member) == 64 && sizeof(struct mx_generation) == 32 &&
                   sizeof(struct mx_model) == 256 && sizeof(struct mx_manifest) == 416 &&
                   sizeof(struct mx_signature) == 96,
               "bundle structs have no padding");
#endif
#endif
