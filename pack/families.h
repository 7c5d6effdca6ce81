/* SPDX-License-Identifier: Apache-2.0
 *
 * What sets one family of models apart from another in its published files: a table, no code. The importers read it;
 * behind them every model is the same struct pk_source. */
#ifndef PK_FAMILIES_H
#define PK_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which layers of a model with experts are dense. */
enum pk_dense_rule {
    PK_DENSE_NONE,
    PK_DENSE_STEP,  /* decoder_sparse_step, mlp_only_layers */
    PK_DENSE_FIRST, /* first_k_dense_replace, moe_layer_freq */
};

/* What q and k are normed by before RoPE: q_norm.weight and k_norm.weight of one head, or of all of them as one vector.
 */
enum pk_qk_norm { PK_QK_NORM_NONE, PK_QK_NORM_HEAD, PK_QK_NORM_WHOLE };

enum pk_norm_rule {
    PK_NORM_CONFIG,  /* norm_topk_prob */
    PK_NORM_SEVERAL, /* norm_topk_prob, of more than one expert */
    PK_NORM_ALWAYS,
};

struct pk_family {
    const char *type; /* model_type of config.json, and the bundle's architecture */
    bool qkv_bias;    /* unless "qkv_bias" is false */
    enum pk_qk_norm qk_norm;
    bool windowed;      /* "sliding_window" is in force wherever it stands */
    uint32_t window;    /* where it does not stand; 0: none */
    bool gelu;          /* the FFN's gate, in its tanh form; "gelu" is another name of that here */
    bool norm_plus_one; /* norms multiply by 1 + weight */
    bool scaled;        /* embeddings are multiplied by the square root of hidden */
    bool tied;          /* where config.json leaves it out; so below */
    float rms_eps;
    float rope_theta;

    /* Experts; NULL or 0: the family has none. */
    const char *routed;       /* key: their number */
    const char *width;        /* key: of one */
    const char *shared_width; /* key: of the shared expert */
    const char *shared_parts; /* or key: the same in widths of a routed expert, 0 or absent: none */
    bool shared_gate;
    enum pk_norm_rule norm;
    enum pk_dense_rule dense;
    bool plus;     /* MoE++: what pack/hf_moepp.c reads */
    bool fused_up; /* an expert's up_proj holds the rows of gate, then those of up */

    /* In GGUF files; arch NULL: there are none. */
    struct {
        const char *arch;
        bool interleaved; /* rows of q and k stand in the order of RoPE on neighbours */
        bool norm_topk;   /* the weights of the chosen experts sum to 1 where no key says; norm ALWAYS: in any case */
        bool head;        /* never shares the embedding's */
    } gguf;

    /* Text in a tensor's name, and what stands in its place in the canonical one (pack/source.h), each replaced once.
     */
    struct {
        const char *from, *to;
    } names[6];
};

/* NULL: not known. */
const struct pk_family *pk_family_find(const char *type);

/* Of a GGUF file, by its general.architecture [length] and whether it has experts; NULL: not known. */
const struct pk_family *pk_family_of_gguf(const char *arch, size_t length, bool experts);

/* All model types, and all architectures of GGUF files, for messages. */
extern const char pk_family_types[], pk_family_archs[];

/* The canonical name of tensor `name` of `f`, cut to `size` bytes. */
void pk_family_name(const struct pk_family *f, const char *name, char *out, size_t size);

#endif
