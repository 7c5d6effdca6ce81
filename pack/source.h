/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint as the packer sees it, whatever it came from: the model's numbers, its layers, and a table of tensors
 * under their canonical Hugging Face names, read row by row. Memory does not grow with the size of the weights.
 *
 *     struct pk_source *s = pk_source_open("Qwen1.5-MoE-A2.7B", &error);   // folder, .gguf, or an archive of them
 *     if (!s || !pk_source_check(s, &error)) …
 *     struct pk_tensor *t = pk_source_find(s, "model.norm.weight");
 *     pk_source_read_rows(s, t, 0, 1, row, &error);
 *     pk_row_to_f32(t->type, row, t->cols, values);
 *     pk_source_close(s);
 */
#ifndef PK_SOURCE_H
#define PK_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "pack/dequant.h"
#include "pack/pk_error.h"
#include "runtime/bundle_format.h"

#define PK_MAX_DIMS 8

/* Tensor names, all under the names that Hugging Face checkpoints of qwen2_moe have (GGUF names are mapped, stacked
 * experts are split into one tensor per expert); l = layer, j = routed expert:
 *   model.embed_tokens.weight                                          [vocab][hidden]
 *   model.layers.l.input_layernorm.weight                              [hidden]
 *   model.layers.l.self_attn.{q,k,v}_proj.weight, .bias                [heads * head_dim][hidden], …
 *   model.layers.l.self_attn.{q,k}_norm.weight                         [head_dim], or [heads * head_dim], …
 *   model.layers.l.self_attn.o_proj.weight                             [hidden][heads * head_dim]
 *   model.layers.l.post_attention_layernorm.weight                     [hidden]
 *   model.layers.l.mlp.gate.weight                                     [routed, or router_width][hidden]   sparse
 * layers model.layers.l.mlp.gate_out.weight                                 [routed][router_width]     second layer of
 * a router model.layers.l.mlp.gate_map.weight                                 [routed][routed]           for carried
 * logits model.layers.l.mlp.experts.j.constant, .wg.weight                  [hidden], [2][hidden]      constant experts
 *   model.layers.l.mlp.experts.j.{gate,up,down}_proj.weight            [width][hidden], [hidden][width]
 *   model.layers.l.mlp.shared_expert.{gate,up,down}_proj.weight        [shared_width][hidden], [hidden][shared_width]
 *   model.layers.l.mlp.shared_expert_gate.weight                       [1][hidden]
 *   model.layers.l.mlp.{gate,up,down}_proj.weight                      [width][hidden], …         dense layers
 *   model.norm.weight                                                  [hidden]
 *   lm_head.weight                                                     [vocab][hidden], absent when tied */
struct pk_tensor {
    const char *name;
    enum pk_type type;
    const char *type_name; /* as the file says it: "BF16", "Q4_1" */
    uint32_t n_dims;
    uint64_t dims[PK_MAX_DIMS]; /* outermost first; dims[n_dims - 1] is contiguous */
    uint64_t rows, cols;        /* the matrix view; a vector or scalar is one row */
    uint64_t row_bytes;         /* of one row in the file's type */
    uint32_t group;             /* columns that share a scale where that is not the type's own 32; else 0 */
    bool scattered;             /* Int4 in groups that no bundle format has (act-order); the rows are its values, F32 */
    bool consumed;              /* a part of a quantised module, which takes its place in the table */
    bool ignored;               /* pk_source_check: not needed */
    bool surplus;               /* and nothing that a model of this kind is known to carry: worth a warning. Known are
                                   rotary_emb.inv_freq, the head of a tied model, biases that are all zero */

    /* private to the importers */
    uint32_t file;
    uint32_t head_rows; /* GGUF arch llama: rows are interleaved inside heads of this many rows; 0: in order */
    uint32_t module;    /* GPTQ and AWQ: its index in the source's modules, plus 1 */
    uint64_t offset;    /* of row 0 in its file */
};

struct pk_source {
    struct mx_model model;   /* complete but for kv_type and chat_template */
    struct mx_layer *layers; /* [model.layers]; first_expert is left 0. The shared expert stands as `shared` parts of
                                `width`, the last one to be padded with zeros: parts = ceil(shared_width / width). A
                                dense FFN is routed = 0, shared = 1. */
    uint64_t shared_width;   /* of the checkpoint's shared expert; 0 without one */
    bool qkv_bias;           /* q, k and v have biases */
    uint32_t router_width;   /* outputs of the first of two router layers; 0: there is one */
    float norm_offset;       /* is added to the weights of norms */
    float expert_factor;     /* experts read their input times this, a power of two; 0: as it is */

    struct pk_tensor *tensors; /* sorted by name */
    size_t n_tensors;

    char *path;          /* as given */
    char *chat_template; /* the checkpoint's Jinja text; NULL: none */
    char *license;       /* its licence text, or a GGUF's licence name; NULL: none found */

    struct pk_gguf *gguf;     /* metadata of a GGUF file (pack/gguf.h), for its vocabulary; NULL for a folder */
    struct pk_folder *folder; /* where its files lie (pack/folder.h); NULL when it was made in memory */
    struct pk_file *files;
    size_t n_files;

    char **notes; /* what is odd about the checkpoint but no error, a sentence each */
    size_t n_notes;

    struct pk_module *modules; /* pack/gptq.h; private to the importers, as the next */
    size_t n_modules;
    struct pk_panels *panels;
};

/* Opens a Hugging Face folder (config.json, safetensors), a GGUF file, or an archive with either; reads all headers, no
 * weights. NULL: see `e`. */
struct pk_source *pk_source_open(const char *path, struct pk_error *e);
void pk_source_close(struct pk_source *s);

/* Checks that every tensor the configuration asks for is there with its shape and a type that can be packed, and that
 * no other tensor is there that would change what the model computes. Sets `ignored` and `surplus`. */
bool pk_source_check(struct pk_source *s, struct pk_error *e);

/* NULL when there is none. */
struct pk_tensor *pk_source_find(const struct pk_source *s, const char *name);

/* Reads rows [first_row, first_row + n_rows) in the tensor's own type into `dst`, row_bytes each. */
bool pk_source_read_rows(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                         void *dst, struct pk_error *e);

/* The same, of which only columns [first_col, first_col + cols) will be looked at: elsewhere `dst` may be left as it
 * is. */
bool pk_source_read_columns(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                            uint64_t first_col, uint64_t cols, void *dst, struct pk_error *e);

/* Says that rows [first_row, first_row + n_rows) will be read soon. */
void pk_source_expect(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows);

/* Fails when one of `values` [cols], row `row` of `t`, is NaN or infinite; names file, tensor, row and column. */
bool pk_check_finite(const struct pk_source *s, const struct pk_tensor *t, uint64_t row, const float *values,
                     struct pk_error *e);

#endif
