/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/families.h"

#include <stdio.h>
#include <string.h>

static const struct pk_family families[] = {
    {
        .type = "qwen2_moe",
        .qkv_bias = true,
        .rms_eps = 1e-6f,
        .rope_theta = 1e4f,
        .routed = "num_experts",
        .width = "moe_intermediate_size",
        .shared_width = "shared_expert_intermediate_size",
        .shared_gate = true,
        .dense = PK_DENSE_STEP,
        .gguf = {.arch = "qwen2moe", .head = true},
    },
    {.type = "qwen2", .qkv_bias = true, .rms_eps = 1e-6f, .rope_theta = 1e4f, .gguf = {.arch = "qwen2"}},
    {.type = "llama",
     .rms_eps = 1e-6f,
     .rope_theta = 1e4f,
     .gguf = {.arch = "llama", .interleaved = true}}, // and SmolLM2, Yi
    {.type = "mistral", .windowed = true, .window = 4096, .rms_eps = 1e-6f, .rope_theta = 1e4f},
    {
        .type = "mixtral",
        .windowed = true,
        .rms_eps = 1e-5f,
        .rope_theta = 1e6f,
        .routed = "num_local_experts",
        .width = "intermediate_size",
        .norm = PK_NORM_ALWAYS,
        .gguf = {.arch = "llama", .interleaved = true},
        .names =
            {{".block_sparse_moe.", ".mlp."}, {".w1.", ".gate_proj."}, {".w3.", ".up_proj."}, {".w2.", ".down_proj."}},
    },
    {
        .type = "qwen3_moe",
        .qk_norm = PK_QK_NORM_HEAD,
        .rms_eps = 1e-6f,
        .rope_theta = 1e4f,
        .routed = "num_experts",
        .width = "moe_intermediate_size",
        .dense = PK_DENSE_STEP,
        .gguf = {.arch = "qwen3moe", .norm_topk = true},
    },
    {
        .type = "olmoe",
        .qk_norm = PK_QK_NORM_WHOLE,
        .rms_eps = 1e-5f,
        .rope_theta = 1e4f,
        .routed = "num_experts",
        .width = "intermediate_size",
        .gguf = {.arch = "olmoe", .head = true},
    },
    {
        .type = "deepseek",
        .rms_eps = 1e-6f,
        .rope_theta = 1e4f,
        .routed = "n_routed_experts",
        .width = "moe_intermediate_size",
        .shared_parts = "n_shared_experts",
        .norm = PK_NORM_SEVERAL,
        .dense = PK_DENSE_FIRST,
        .gguf = {.arch = "deepseek", .interleaved = true, .head = true},
        .names = {{".shared_experts.", ".shared_expert."}},
    },
    {
        .type = "gemma",
        .gelu = true,
        .norm_plus_one = true,
        .scaled = true,
        .tied = true,
        .gguf = {.arch = "gemma"},
        .rms_eps = 1e-6f,
        .rope_theta = 1e4f,
    },
    {
        .type = "MoE++",
        .rms_eps = 1e-6f,
        .rope_theta = 1e4f,
        .routed = "num_experts",
        .width = "intermediate_size",
        .plus = true,
        .fused_up = true,
        .names = {{".mlp.moe.", ".mlp."},
                  {".experts.experts.", ".experts."},
                  {".gate.wg.0.", ".gate."},
                  {".gate.wg.2.", ".gate_out."},
                  {".gate.wg.", ".gate."},
                  {".gate.gate_map.", ".gate_map."}},
    },
};

const char pk_family_types[] = "qwen2_moe, qwen2, llama, mistral, mixtral, qwen3_moe, olmoe, deepseek, gemma, MoE++";
const char pk_family_archs[] = "qwen2moe, qwen2, llama, qwen3moe, olmoe, deepseek, gemma";

const struct pk_family *pk_family_find(const char *type) {
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strcmp(families[i].type, type) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

const struct pk_family *pk_family_of_gguf(const char *arch, size_t length, bool experts) {
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        const struct pk_family *f = &families[i];
        bool same = f->gguf.arch && strlen(f->gguf.arch) == length && memcmp(f->gguf.arch, arch, length) == 0;
        // Llama's architecture is Mixtral's too; elsewhere a missing count of experts is an error of its own.
        if (same && (strcmp(f->gguf.arch, "llama") != 0 || experts == (f->routed != NULL))) {
            return f;
        }
    }
    return NULL;
}

void pk_family_name(const struct pk_family *f, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s", name);
    for (size_t i = 0; i < sizeof(f->names) / sizeof(f->names[0]) && f->names[i].from; i++) {
        const char *at = strstr(out, f->names[i].from);
        if (at) {
            char rest[300];
            snprintf(rest, sizeof(rest), "%s", at + strlen(f->names[i].from));
            size_t start = (size_t)(at - out);
            snprintf(out + start, size - start, "%s%s", f->names[i].to, rest);
        }
    }
}
