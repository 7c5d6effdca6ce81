/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model.h"

static uint64_t max64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

uint64_t mx_model_tensor_bytes(const struct mx_tensor *t) {
    return mx_tensor_data_bytes(t) + mx_tensor_scale_bytes(t) + mx_tensor_extra_bytes(t);
}

enum moxie_error mx_model_shape(const struct mx_bundle *bundle, struct mx_shape *shape, struct moxie_failure *failure) {
    const struct mx_model *m = &bundle->manifest->model;
    *shape = (struct mx_shape){.selected = 1, .experts = 1};
    for (uint32_t i = 0; i < m->layers; i++) {
        const struct mx_layer *l = &bundle->layers[i];
        if (!l->routed && l->shared != 1)
            return mx_fail(failure, MOXIE_ERROR_MODEL, UINT64_MAX, "layer %u: dense with %u parts, expected 1", i,
                           l->shared);
        uint32_t selected = l->top_k + l->shared, experts = mx_layer_experts(l);
        if (l->routed && shape->out && (shape->selected != selected || shape->experts != experts))
            return mx_fail(failure, MOXIE_ERROR_MODEL, UINT64_MAX,
                           "layer %u takes %u of %u experts, an earlier one %u of %u", i, selected, experts,
                           shape->selected, shape->experts);
        shape->selected = (uint32_t)max64(shape->selected, selected);
        shape->experts = (uint32_t)max64(shape->experts, experts);
        shape->carried = (uint32_t)max64(shape->carried, l->flags & MX_LAYER_CARRIED ? l->routed : 0);
        shape->light = (uint32_t)max64(shape->light, mx_layer_light(l) ? 1u + l->constants : 0);
        shape->middle = max64(shape->middle, (uint64_t)selected * l->width);
        shape->out = max64(shape->out, l->routed ? (uint64_t)selected * m->hidden : 0);
    }
    for (uint32_t i = 0; i < bundle->manifest->tensors; i++) {
        const struct mx_tensor *t = &bundle->tensors[i];
        const struct mx_layer *l = t->layer == MX_NONE ? NULL : &bundle->layers[t->layer];
        uint64_t copies = 1, rows = 1; /* read per token; rows of the site per token */
        if (l && (t->role == MX_ROLE_GATE_UP || t->role == MX_ROLE_DOWN))
            copies =
                (l->top_k < mx_layer_experts(l) - l->shared ? l->top_k : mx_layer_experts(l) - l->shared) + l->shared;
        if (t->role == MX_ROLE_ROUTER)
            shape->router_rows = (uint32_t)max64(shape->router_rows, t->rows);
        if (t->role == MX_ROLE_DOWN) {
            rows = copies;
            shape->down_of_floats |= !mx_format_is_integer(t->format);
        }
        if (t->role != MX_ROLE_EMBEDDING || m->tied)
            shape->bytes_per_token += copies * mx_model_tensor_bytes(t);
        if (mx_format_is_integer(t->format)) {
            shape->quant_bytes = max64(shape->quant_bytes, rows * mx_tensor_kp(t));
            shape->quant_groups = max64(shape->quant_groups, rows * mx_tensor_groups(t));
        }
    }
    return MOXIE_OK;
}
