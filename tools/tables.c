/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tables.h"

#include <stdio.h>
#include <string.h>

#define TAR_HEADER 512 /* of the manifest, the first member */

struct tables tables_of(const void *bytes) {
    const uint8_t *base = (const uint8_t *)bytes + TAR_HEADER;
    const struct mx_manifest *m = (const void *)base;
    return (struct tables){
        .manifest = m,
        .members = (const void *)(base + m->members_offset),
        .layers = (const void *)(base + m->layers_offset),
        .segments = (const void *)(base + m->segments_offset),
        .tensors = (const void *)(base + m->tensors_offset),
    };
}

const char *format_name(uint32_t format) {
    static const char *const names[] = {"?", "I4", "I4Z", "I4M", "I8", "BF16", "F16", "F32", "VECTOR"};
    return format < sizeof(names) / sizeof(names[0]) ? names[format] : "?";
}

const char *scale_name(uint32_t scale_type) {
    static const char *const names[] = {"none", "F16", "F32"};
    return scale_type < sizeof(names) / sizeof(names[0]) ? names[scale_type] : "?";
}

const char *kv_name(uint32_t kv_type) {
    static const char *const names[] = {"?", "F16", "F32", "I8"};
    return kv_type < sizeof(names) / sizeof(names[0]) ? names[kv_type] : "?";
}

const char *chat_template_name(uint32_t chat_template) {
    static const char *const names[] = {"none",
                                        "ChatML",
                                        "ChatML, Qwen2",
                                        "ChatML, Qwen2.5",
                                        "ChatML, SmolLM2",
                                        "ChatML, Qwen1.5",
                                        "Mistral",
                                        "Mistral, spaced answers",
                                        "Mistral, with system message",
                                        "DeepSeek",
                                        "Gemma"};
    return chat_template < sizeof(names) / sizeof(names[0]) ? names[chat_template] : "?";
}

const char *role_name(uint32_t role) {
    static const char *const names[] = {
        [MX_ROLE_EMBEDDING] = "embedding", [MX_ROLE_FINAL_NORM] = "final_norm", [MX_ROLE_HEAD] = "head",
        [MX_ROLE_INV_FREQ] = "inv_freq",   [MX_ROLE_ATTN_NORM] = "attn_norm",   [MX_ROLE_QKV] = "qkv",
        [MX_ROLE_QKV_BIAS] = "qkv_bias",   [MX_ROLE_QK_NORM] = "qk_norm",       [MX_ROLE_ATTN_OUT] = "attn_out",
        [MX_ROLE_FFN_NORM] = "ffn_norm",   [MX_ROLE_ROUTER] = "router",         [MX_ROLE_ROUTER_MORE] = "router_more",
        [MX_ROLE_CONSTANTS] = "constants", [MX_ROLE_GATE_UP] = "gate_up",       [MX_ROLE_DOWN] = "down"};
    return role < sizeof(names) / sizeof(names[0]) && names[role] ? names[role] : "?";
}

void tensor_name(const struct tables *t, const struct mx_tensor *tensor, char *name, size_t max) {
    char layer[24] = "", expert[16] = "", part[24] = "";
    if (tensor->layer != MX_NONE) {
        snprintf(layer, sizeof(layer), "layers.%u.", tensor->layer);
    }
    if (t->segments[tensor->segment].kind == MX_SEGMENT_EXPERT) {
        snprintf(expert, sizeof(expert), "experts.");
    }
    if (tensor->row_offset) {
        snprintf(part, sizeof(part), ".rows%u", tensor->row_offset);
    }
    snprintf(name, max, "%s%s%s%s", layer, expert, role_name(tensor->role), part);
}

uint64_t tensor_bytes(const struct mx_tensor *t) {
    return mx_tensor_data_bytes(t) + mx_tensor_scale_bytes(t) + mx_tensor_extra_bytes(t);
}

uint64_t tensor_offset(const struct tables *t, const struct mx_tensor *tensor) {
    return t->segments[tensor->segment].offset + tensor->data;
}
