/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step reads and computes, in all and launch by launch, and when its launches ran. */
#include "runtime/engine.h"

static const char *phase_name(enum mx_phase phase) {
    static const char *const names[] = {
        [MX_PHASE_BEGIN] = "begin",
        [MX_PHASE_ATTN_NORM] = "attention norm",
        [MX_PHASE_QKV] = "qkv",
        [MX_PHASE_ROPE] = "rope",
        [MX_PHASE_ATTENTION] = "attention",
        [MX_PHASE_ATTN_QUANT] = "attention quantise",
        [MX_PHASE_ATTN_OUT] = "attention out",
        [MX_PHASE_FFN_NORM] = "ffn norm",
        [MX_PHASE_ROUTER] = "router",
        [MX_PHASE_ROUTE] = "route",
        [MX_PHASE_SORT] = "sort",
        [MX_PHASE_GATE_UP] = "gate up",
        [MX_PHASE_MIDDLE_QUANT] = "middle quantise",
        [MX_PHASE_DOWN] = "down",
        [MX_PHASE_COMBINE] = "combine",
        [MX_PHASE_FINAL_NORM] = "final norm",
        [MX_PHASE_HEAD] = "head",
        [MX_PHASE_END] = "end",
    };
    return names[phase];
}

/* ---- What the last step did: from its parameters, which stay as they were ---- */

static const void *parameter(const struct moxie *e, enum mx_buffer buffer) {
    return e->parameters + e->plan.place[buffer].offset;
}

/* Keys that tokens were compared with, in one layer. */
static uint64_t attended(const struct moxie *e) {
    const int32_t *position = parameter(e, MX_BUFFER_POSITION);
    uint64_t all = 0;
    for (uint32_t i = 0; i < e->counts[MX_TOKENS]; i++)
        all += (uint64_t)position[i] + 1;
    return all;
}

/* Experts of `layer` that had entries. */
static uint32_t touched(const struct moxie *e, uint32_t layer) {
    return ((const uint32_t *)parameter(e, MX_BUFFER_STATUS))[1 + layer];
}

struct cost {
    uint64_t bytes, operations;
};

/* Activations are counted as what the launch's buffers hold for so many tokens. */
static struct cost cost_of(const struct moxie *e, const struct mx_op *op) {
    const struct mx_plan *p = &e->plan;
    const uint32_t *counts = e->counts;
    const uint64_t rows = counts[op->grid.count == MX_LOGITS ? MX_LOGITS : MX_TOKENS];
    struct cost c = {0, 0};
    for (uint32_t i = 0; i < op->operands; i++) {
        const uint32_t b = op->operand[i].value;
        if (op->operand[i].kind == MX_OPERAND_BUFFER && b >= MX_BUFFER_X && b < MX_BUFFER_LOGITS)
            c.bytes += p->place[b].bytes * rows / p->step_tokens;
        else if (op->operand[i].kind == MX_OPERAND_BUFFER && b == MX_BUFFER_LOGITS)
            c.bytes += p->place[b].bytes * counts[MX_LOGITS] / p->step_logits;
    }
    if (op->phase == MX_PHASE_ATTENTION) {
        const struct mx_model *m = &e->bundle->manifest->model;
        c.bytes += e->positions_read * (p->facts.kv_bytes_per_token / m->layers);
        c.operations = 4 * attended(e) * m->heads * m->head_dim;
    }
    if (op->tensor) {
        const bool routed = op->grid.jobs == MX_JOBS;
        c.bytes += mx_model_tensor_bytes(op->tensor) * (routed ? touched(e, op->layer) : 1);
        c.operations =
            2ull * op->tensor->rows * op->tensor->cols * (routed ? counts[MX_ENTRIES] : counts[op->grid.count]);
    }
    return c;
}

uint64_t moxie_step_bytes(const struct moxie *engine) {
    uint64_t bytes = 0;
    if (!engine || !engine->counts[MX_TOKENS])
        return 0;
    const struct mx_bundle *b = engine->bundle;
    for (uint32_t i = 0; i < b->manifest->tensors; i++) { /* as mx_model_shape counts a token's */
        const struct mx_tensor *t = &b->tensors[i];
        const bool experts = (t->role == MX_ROLE_GATE_UP || t->role == MX_ROLE_DOWN) && b->layers[t->layer].routed;
        if (t->role == MX_ROLE_EMBEDDING && !b->manifest->model.tied)
            continue;
        bytes += mx_model_tensor_bytes(t) * (experts ? touched(engine, t->layer) : 1);
    }
    return bytes + engine->positions_read * engine->plan.facts.kv_bytes_per_token;
}

/* ---- Launch by launch ---- */

struct report {
    const struct moxie *e;
    uint32_t next;
};

static enum moxie_error tell(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct report *r = context;
    const struct moxie *e = r->e;
    cl_event event = e->event[r->next++];
    if (!event) /* nothing to do for it in this step */
        return MOXIE_OK;
    const struct cost c = cost_of(e, op);
    struct moxie_launch l = {.kernel = op->kernel,
                             .what = phase_name((enum mx_phase)op->phase),
                             .layer = op->layer,
                             .bytes = c.bytes,
                             .operations = c.operations};
    enum moxie_error err = mx_launch_times(event, &l.start_ns, &l.end_ns, failure);
    if (!err)
        e->profile(e->callbacks.user, &l);
    return err;
}

enum moxie_error mx_profile_step(struct moxie *e, struct moxie_failure *failure) {
    struct report r = {.e = e};
    enum moxie_error err =
        mx_model_walk(e->bundle, e->plan.kv_blocks, e->plan.max_blocks, e->plan.keep, tell, &r, failure);
    mx_profile_forget(e);
    return err;
}

void mx_profile_forget(struct moxie *e) {
    for (uint32_t i = 0; e->profile && i < e->plan.facts.launches; i++) {
        if (e->event[i])
            clReleaseEvent(e->event[i]);
        e->event[i] = NULL;
    }
}
