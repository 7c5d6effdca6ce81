/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of config.json that only MoE++ has. Two experts per token, two constant experts, one that copies its input
 * and one that gives zero are no keys: they stand in the authors' code. */
#include "pack/hf_config.h"

enum { TOP_K = 2, CONSTANTS = 2, COPIES = 1, ZEROS = 1, ROUTER_FACTOR = 8 };

/* "num_experts" is a list, of which the first element counts. */
static bool read_experts(const struct pk_json *j, uint32_t *experts) {
    const json_t *list = pk_json_get(j, "num_experts"), *first = json_is_array(list) ? json_array_get(list, 0) : list;
    if (!json_is_integer(first) || json_integer_value(first) <= CONSTANTS + COPIES + ZEROS ||
        json_integer_value(first) > MX_ROUTED_MAX) {
        return pk_json_fail(j, "num_experts", "a number of experts from 5 to 1024, or a list that begins with one");
    }
    *experts = (uint32_t)json_integer_value(first);
    return true;
}

bool pk_moepp_read(const struct pk_json *j, struct pk_source *s, struct pk_ffn *ffn) {
    bool mixtral, two_layers, scaled, as_it_is;
    uint32_t interval;
    if (!read_experts(j, &ffn->routed) || !pk_json_u32(j, "intermediate_size", 1, MX_WIDTH_MAX, &ffn->width) ||
        !pk_json_u32_or(j, "moe_expert_interval", 1, INT32_MAX, 1, &interval) ||
        !pk_json_bool_or(j, "moe_use_mixtral_gating", false, &mixtral) ||
        !pk_json_bool_or(j, "moe_2layer_gate", true, &two_layers) ||
        !pk_json_bool_or(j, "moe_use_logits_norm", false, &scaled) ||
        !pk_json_float_or(j, "moe_gate_norm_std", 0x1p-10, 0x1p10, 1, &ffn->deviation) ||
        !pk_json_bool_or(j, "moe_feature_no_mul_topk", false, &as_it_is)) {
        return false;
    }
    if (interval != 1) {
        return pk_json_fail(j, "moe_expert_interval", "1 (the authors' code does not run with another)");
    }
    ffn->top_k = TOP_K;
    ffn->constants = CONSTANTS;
    ffn->copies = COPIES;
    ffn->zeros = ZEROS;
    ffn->deviation = scaled ? ffn->deviation : 0;
    ffn->two_layers = two_layers;
    ffn->carried = true;
    ffn->zero_apart = !mixtral; // Mixtral's gating is a softmax of the two that were chosen, the zero expert or not
    ffn->norm_topk = true;
    s->router_width = two_layers ? ROUTER_FACTOR * ffn->routed : 0;
    s->expert_factor = mixtral || as_it_is ? 0 : TOP_K;
    return true;
}
