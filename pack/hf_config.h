/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON files of a Hugging Face folder other than the tensors' index. */
#ifndef PK_HF_CONFIG_H
#define PK_HF_CONFIG_H

#include "pack/gptq.h"
#include "pack/json_util.h"
#include "pack/source_build.h"

/* config.json: the model's numbers and layers, or a refusal that names the key; and how it is quantised (`quant` is to
 * be freed also after a failure). */
bool pk_hf_read_config(struct pk_source *s, struct pk_quant *quant, struct pk_error *e);

/* The routing of MoE++ (pack/hf_moepp.c). */
bool pk_moepp_read(const struct pk_json *j, struct pk_source *s, struct pk_ffn *ffn);

/* generation_config.json (optional): sampling defaults and more end tokens. */
bool pk_hf_read_generation(struct pk_source *s, struct pk_error *e);

/* The chat template, its end token, and the licence, where the folder has them. */
bool pk_hf_read_texts(struct pk_source *s, struct pk_error *e);

#endif
