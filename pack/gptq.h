/* SPDX-License-Identifier: Apache-2.0
 *
 * Int4 checkpoints of GPTQ and AWQ in the folders of Hugging Face: a matrix X.weight stands there as
 *     GPTQ  X.qweight I32 [in/8][out]  word (k / 8, n) has column k in bits 4 (k % 8)
 *           X.qzeros  I32 [groups][out/8]  zero-points, word (g, n / 8) has row n in bits 4 (n % 8); version 1: minus 1
 *           X.scales  F16 [groups][out], X.g_idx I32 [in], the group of each column, optional
 *     AWQ   X.qweight I32 [in][out/8]  word (k, n / 8) has row n in bits 0 16 4 20 8 24 12 28 of n % 8
 *           X.qzeros  I32 [groups][out/8], likewise; X.scales F16 [groups][out]
 * and means W[n][k] = scale[g][n] * (q - zero[g][n]), exact in float32. Here they become tensors X.weight of type
 * PK_Q4_0 (all zero-points 8) or PK_Q4_Z, `group` columns to a scale; where the groups are scattered over the columns
 * (act-order), of type PK_F32 with `scattered` set. */
#ifndef PK_GPTQ_H
#define PK_GPTQ_H

#include "pack/json_util.h"
#include "pack/source.h"

enum pk_quant_method { PK_QUANT_NONE, PK_QUANT_GPTQ, PK_QUANT_AWQ };

/* What a checkpoint says about how it was quantised. */
struct pk_quant {
    enum pk_quant_method method;
    uint32_t group;   /* columns; 0: whole rows */
    bool v2;          /* GPTQ: zero-points as they are */
    bool sym;         /* says that all zero-points are 8 */
    bool sym_said;    /* says so or denies it */
    json_t *excluded; /* array of parts of names of matrices that were left alone; NULL: none. Owned */
};

/* The settings in config.json (`config`), quantize_config.json and quant_config.json, which must agree; method NONE
 * when there are none. `q` is to be freed also after a failure. */
bool pk_quant_read(const struct pk_folder *folder, const struct pk_json *config, struct pk_quant *q,
                   struct pk_error *e);
void pk_quant_free(struct pk_quant *q);

/* A quantised matrix: where its parts lie. */
struct pk_module_part {
    uint32_t file;
    uint64_t offset;
};

struct pk_module {
    enum pk_quant_method method;
    bool add_one;  /* to the zero-points */
    uint64_t k, n; /* columns and rows of the matrix */
    uint64_t groups;
    uint64_t group; /* columns of a group where g_idx does not say */
    bool has_g_idx; /* and it means something */
    struct pk_module_part qweight, qzeros, scales, g_idx;
};

/* Puts X.weight in the place of X.qweight and its companions, in the whole table; reads zero-points and g_idx. */
bool pk_gptq_join(struct pk_source *s, const struct pk_quant *q, struct pk_error *e);

/* The last few matrices that were read from, as they lie in the file. Any thread. */
struct pk_panels;
struct pk_panels *pk_panels_new(struct pk_error *e);
void pk_panels_free(struct pk_panels *p);

/* Rows of a tensor that pk_gptq_join made, in its type. */
bool pk_panels_read(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                    void *dst, struct pk_error *e);

#endif
