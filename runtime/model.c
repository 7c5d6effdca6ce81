/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model.h"

/* Where the walk is, and the launch being written. */
struct walk {
    const struct mx_bundle *bundle;
    const struct mx_model *model;
    uint32_t kv_blocks, max_blocks;
    bool keep;
    uint32_t layer;
    enum moxie_error (*emit)(void *context, const struct mx_op *op, struct moxie_failure *failure);
    void *context;
    struct moxie_failure *failure;
    struct mx_op op;
};

static void begin(struct walk *w, const char *file, const char *kernel, enum mx_phase phase, enum mx_work work,
                  enum mx_count count, uint32_t items) {
    w->op = (struct mx_op){.kernel = kernel, .grid = {.work = work, .count = count, .items = items}};
    w->op.program.kernel_file = file;
    w->op.layer = w->layer;
    w->op.phase = phase;
}

static enum moxie_error end(struct walk *w) {
    return w->emit(w->context, &w->op, w->failure);
}

static void operand(struct walk *w, enum mx_operand_kind kind, uint32_t value) {
    w->op.operand[w->op.operands++] = (struct mx_operand){.kind = kind, .value = value};
}

static void u32(struct walk *w, uint32_t value) {
    operand(w, MX_OPERAND_U32, value);
}

static void f32(struct walk *w, float value) {
    w->op.operand[w->op.operands++] = (struct mx_operand){.kind = MX_OPERAND_F32, .real = value};
}

static void buffers(struct walk *w, uint32_t n, const enum mx_buffer *list) {
    for (uint32_t i = 0; i < n; i++)
        operand(w, MX_OPERAND_BUFFER, list[i]);
}
#define BUFFERS(w, ...)                                                                                                \
    buffers(w, sizeof((enum mx_buffer[]){__VA_ARGS__}) / sizeof(enum mx_buffer), (const enum mx_buffer[]){__VA_ARGS__})

/* The WEIGHTS arguments of opencl/kernels: two windows, the segment table and the planes of `t`. */
static void weights(struct walk *w, const struct mx_tensor *t, uint32_t data) {
    operand(w, MX_OPERAND_WINDOW, t->segment);
    operand(w, MX_OPERAND_WINDOW, t->segment + t->segments - 1);
    operand(w, MX_OPERAND_WINDOW_NUMBER, t->segment);
    operand(w, MX_OPERAND_BUFFER, MX_BUFFER_SEGMENTS);
    u32(w, t->segment);
    u32(w, data);
    u32(w, t->scale);
    u32(w, t->extra);
}

/* The same of a matrix, for whose format there is a program. */
static void matrix(struct walk *w, const struct mx_tensor *t) {
    w->op.program.format = t->format;
    w->op.program.group = t->group;
    weights(w, t, t->data);
}

/* Keys and values of the layer at hand. */
static void kv(struct walk *w) {
    w->op.program.kv = w->model->kv_type;
    operand(w, MX_OPERAND_KV, w->layer * 2);
    operand(w, MX_OPERAND_KV, w->layer * 2 + 1);
}

static const struct mx_tensor *find(const struct walk *w, enum mx_role role, uint32_t n) {
    return mx_bundle_find(w->bundle, role, role <= MX_ROLE_INV_FREQ ? MX_NONE : w->layer, n);
}

/* The activation group of the site that the tensors of `role` read, 0 when all of them read floats. */
static uint32_t site_group(const struct walk *w, enum mx_role role) {
    const struct mx_tensor *t;
    for (uint32_t n = 0; (t = find(w, role, n)); n++)
        if (mx_format_is_integer(t->format))
            return t->group;
    return 0;
}

/* Where the rows of a matrix product come from and go to. */
struct product {
    enum mx_role role;
    enum mx_phase phase;
    enum mx_buffer jobs, rows;
    enum mx_count count, job_count;
    enum mx_buffer floats; /* the site unquantised */
    enum mx_buffer out;
    uint32_t ldo;  /* floats per output row */
    uint32_t mode; /* MX_MODE_* of opencl/kernels */
};

enum { MODE_STORE = 0, MODE_RESIDUAL = 1, MODE_GLU = 2, MODE_GLU_GELU = 3 };

/* One launch for each tensor of the role. */
static enum moxie_error linear(struct walk *w, const struct product *p) {
    const struct mx_tensor *t;
    for (uint32_t n = 0; (t = find(w, p->role, n)); n++) {
        uint32_t tiles = (t->rows + 15) / 16;
        begin(w, "linear", "mx_linear", p->phase, MX_WORK_LINEAR, p->count, p->mode >= MODE_GLU ? tiles / 2 : tiles);
        w->op.grid.jobs = p->job_count;
        matrix(w, t);
        BUFFERS(w, p->jobs, p->rows, mx_format_is_integer(t->format) ? MX_BUFFER_QUANT : p->floats,
                MX_BUFFER_QUANT_SCALE, MX_BUFFER_QUANT_SUM, p->out);
        u32(w, t->cols);
        u32(w, t->rows);
        u32(w, p->ldo);
        u32(w, t->row_offset);
        u32(w, p->mode);
        u32(w, t->scale_type);
        w->op.tensor = t;
        /* the router stays ours: another rounding would choose another expert */
        if (t->format == MX_FORMAT_F32 && p->rows == MX_BUFFER_IOTA && p->jobs != MX_BUFFER_JOBS_EXPERTS &&
            p->mode < MODE_GLU && p->role != MX_ROLE_ROUTER)
            w->op.dense = (struct mx_dense){
                .tensor = t, .in = p->floats, .out = p->out, .ldo = p->ldo, .add = p->mode == MODE_RESIDUAL};
        enum moxie_error e = end(w);
        if (e)
            return e;
    }
    return MOXIE_OK;
}

static enum moxie_error norm(struct walk *w, enum mx_role role, enum mx_phase phase, enum mx_buffer rows,
                             enum mx_count count, uint32_t group) {
    const struct mx_tensor *t = find(w, role, 0);
    begin(w, "norm", "mx_norm", phase, MX_WORK_ROWS, count, 1);
    weights(w, t, t->data);
    BUFFERS(w, rows, MX_BUFFER_X, MX_BUFFER_NORM, MX_BUFFER_QUANT, MX_BUFFER_QUANT_SCALE, MX_BUFFER_QUANT_SUM,
            MX_BUFFER_STATUS);
    u32(w, w->model->hidden);
    u32(w, group);
    f32(w, w->model->inv_hidden);
    f32(w, w->model->rms_eps);
    return end(w);
}

/* Quantises a site that no norm feeds. */
static enum moxie_error quantise(struct walk *w, enum mx_phase phase, enum mx_buffer floats, enum mx_count count,
                                 uint32_t cols, uint32_t group) {
    begin(w, "norm", "mx_quantise", phase, MX_WORK_ROWS, count, 1);
    BUFFERS(w, floats, MX_BUFFER_QUANT, MX_BUFFER_QUANT_SCALE, MX_BUFFER_QUANT_SUM, MX_BUFFER_STATUS, MX_BUFFER_COUNTS);
    u32(w, count == MX_ENTRIES ? 1 : 0);
    u32(w, cols);
    u32(w, group);
    return end(w);
}

static enum moxie_error embed(struct walk *w) {
    const struct mx_tensor *t;
    for (uint32_t n = 0; (t = find(w, MX_ROLE_EMBEDDING, n)); n++) {
        begin(w, "embed", "mx_embed", MX_PHASE_BEGIN, MX_WORK_ROWS, MX_TOKENS, 1);
        weights(w, t, t->data);
        BUFFERS(w, MX_BUFFER_TOKEN, MX_BUFFER_X, MX_BUFFER_STATUS);
        u32(w, w->model->hidden);
        u32(w, t->row_offset);
        u32(w, t->rows);
        f32(w, w->model->embedding_scale != 0 ? w->model->embedding_scale : 1);
        u32(w, t->format);
        u32(w, t->group);
        u32(w, t->scale_type);
        enum moxie_error e = end(w);
        if (e)
            return e;
    }
    return MOXIE_OK;
}

static enum moxie_error angles(struct walk *w) {
    const struct mx_tensor *t = find(w, MX_ROLE_INV_FREQ, 0);
    begin(w, "rope", "mx_rope_table", MX_PHASE_BEGIN, MX_WORK_ROWS, MX_TOKENS, 1);
    weights(w, t, t->data);
    BUFFERS(w, MX_BUFFER_POSITION, MX_BUFFER_ANGLES);
    u32(w, w->model->head_dim / 2);
    return end(w);
}

static enum moxie_error copy_blocks(struct walk *w) {
    const struct mx_model *m = w->model;
    begin(w, "rope", "mx_kv_copy", MX_PHASE_BEGIN, MX_WORK_GRID, MX_COPIES, m->kv_heads);
    kv(w);
    BUFFERS(w, MX_BUFFER_COPIES);
    u32(w, m->kv_heads);
    u32(w, m->head_dim);
    u32(w, w->kv_blocks);
    return end(w);
}

static enum moxie_error rope(struct walk *w) {
    const struct mx_model *m = w->model;
    const struct mx_tensor *bias = find(w, MX_ROLE_QKV_BIAS, 0);
    begin(w, "rope", "mx_rope_kv", MX_PHASE_ROPE, MX_WORK_GRID, MX_TOKENS, m->heads + 2 * m->kv_heads);
    BUFFERS(w, MX_BUFFER_QKV);
    weights(w, bias ? bias : find(w, MX_ROLE_QKV, 0), bias ? bias->data : MX_NONE);
    BUFFERS(w, MX_BUFFER_ANGLES, MX_BUFFER_POSITION, MX_BUFFER_SEQUENCE, MX_BUFFER_BLOCKS, MX_BUFFER_Q);
    kv(w);
    BUFFERS(w, MX_BUFFER_STATUS);
    u32(w, m->heads);
    u32(w, m->kv_heads);
    u32(w, m->head_dim);
    u32(w, w->kv_blocks);
    u32(w, w->max_blocks);
    return end(w);
}

/* In place on q and k: `vectors` of q of `cols` values each, then those of k. */
static enum moxie_error qk_norm(struct walk *w) {
    const struct mx_model *m = w->model;
    const struct mx_tensor *t = find(w, MX_ROLE_QK_NORM, 0);
    if (!t)
        return MOXIE_OK;
    const bool each = t->rows == 2 * m->head_dim; /* head by head */
    const uint32_t q_vectors = each ? m->heads : 1, k_vectors = each ? m->kv_heads : 1;
    const uint32_t q_cols = m->heads * m->head_dim / q_vectors, k_cols = m->kv_heads * m->head_dim / k_vectors;
    begin(w, "norm", "mx_qk_norm", MX_PHASE_QKV, MX_WORK_GRID, MX_TOKENS, q_vectors + k_vectors);
    weights(w, t, t->data);
    BUFFERS(w, MX_BUFFER_QKV);
    u32(w, (m->heads + 2 * m->kv_heads) * m->head_dim);
    u32(w, q_vectors);
    u32(w, q_cols);
    u32(w, k_cols);
    f32(w, 1.0f / (float)q_cols); /* exact integers below 2^24: rounded to nearest */
    f32(w, 1.0f / (float)k_cols);
    f32(w, m->rms_eps);
    return end(w);
}

static enum moxie_error attend(struct walk *w) {
    const struct mx_model *m = w->model;
    begin(w, "attention", "mx_attention", MX_PHASE_ATTENTION, MX_WORK_GRID, MX_TOKENS, m->heads);
    BUFFERS(w, MX_BUFFER_Q);
    kv(w);
    BUFFERS(w, MX_BUFFER_POSITION, MX_BUFFER_SEQUENCE, MX_BUFFER_BLOCKS, MX_BUFFER_ATTENTION);
    u32(w, m->heads);
    u32(w, m->kv_heads);
    u32(w, m->head_dim);
    u32(w, w->kv_blocks);
    u32(w, w->max_blocks);
    f32(w, m->attn_scale);
    return end(w);
}

static enum moxie_error attention(struct walk *w) {
    const struct mx_model *m = w->model;
    uint32_t group = site_group(w, MX_ROLE_ATTN_OUT);
    struct product qkv = {
        .role = MX_ROLE_QKV,
        .phase = MX_PHASE_QKV,
        .jobs = MX_BUFFER_JOBS_TOKENS,
        .rows = MX_BUFFER_IOTA,
        .count = MX_TOKENS,
        .floats = MX_BUFFER_NORM,
        .out = MX_BUFFER_QKV,
        .ldo = (m->heads + 2 * m->kv_heads) * m->head_dim,
        .mode = MODE_STORE,
    };
    struct product out = qkv;
    out.role = MX_ROLE_ATTN_OUT;
    out.phase = MX_PHASE_ATTN_OUT;
    out.floats = MX_BUFFER_ATTENTION;
    out.out = MX_BUFFER_X;
    out.ldo = m->hidden;
    out.mode = MODE_RESIDUAL;

    enum moxie_error e =
        norm(w, MX_ROLE_ATTN_NORM, MX_PHASE_ATTN_NORM, MX_BUFFER_IOTA, MX_TOKENS, site_group(w, MX_ROLE_QKV));
    if (!e)
        e = linear(w, &qkv);
    if (!e)
        e = qk_norm(w);
    if (!e)
        e = rope(w);
    if (!e)
        e = attend(w);
    if (!e && group)
        e = quantise(w, MX_PHASE_ATTN_QUANT, MX_BUFFER_ATTENTION, MX_TOKENS, m->heads * m->head_dim, group);
    return e ? e : linear(w, &out);
}

/* MX_CARRY_ON of opencl/kernels/route.cl: the next layer adds this one's logits to its own. */
static uint32_t carry_on(const struct walk *w) {
    const uint32_t next = w->layer + 1;
    return next < w->model->layers && w->bundle->layers[next].flags & MX_LAYER_CARRIED ? 0x80000000u : 0;
}

/* Router, selection, and the entries sorted by expert. */
static enum moxie_error route(struct walk *w, const struct mx_layer *l) {
    const struct mx_tensor *tensor = find(w, MX_ROLE_ROUTER, 0), *more = find(w, MX_ROLE_ROUTER_MORE, 0);
    const uint32_t selected = l->top_k + l->shared;
    struct product router = {
        .role = MX_ROLE_ROUTER,
        .phase = MX_PHASE_ROUTER,
        .jobs = MX_BUFFER_JOBS_TOKENS,
        .rows = MX_BUFFER_IOTA,
        .count = MX_TOKENS,
        .floats = MX_BUFFER_NORM,
        .out = MX_BUFFER_ROUTER,
        .ldo = tensor->rows,
        .mode = MODE_STORE,
    };
    enum moxie_error e = linear(w, &router);
    if (e)
        return e;
    begin(w, "route", "mx_route", MX_PHASE_ROUTE, MX_WORK_ROWS, MX_TOKENS, 1);
    weights(w, more ? more : tensor, more ? more->data : MX_NONE);
    BUFFERS(w, MX_BUFFER_ROUTER, MX_BUFFER_CARRIED, MX_BUFFER_SELECTED, MX_BUFFER_WEIGHT, MX_BUFFER_LIGHT);
    u32(w, l->routed);
    u32(w, l->top_k);
    u32(w, l->shared);
    u32(w, l->flags | carry_on(w));
    u32(w, tensor->rows);
    u32(w, tensor->rows - mx_layer_router_extra(l));
    u32(w, l->constants | (uint32_t)l->copies << 8 | (uint32_t)l->zeros << 16);
    f32(w, l->deviation);
    e = end(w);
    if (!e && w->keep) {
        begin(w, "route", "mx_keep", MX_PHASE_ROUTE, MX_WORK_ROWS, MX_TOKENS, 1);
        BUFFERS(w, MX_BUFFER_SELECTED, MX_BUFFER_KEPT);
        u32(w, selected);
        u32(w, w->model->layers);
        u32(w, w->layer);
        e = end(w);
    }
    if (e)
        return e;
    begin(w, "route", "mx_sort", MX_PHASE_SORT, MX_WORK_ONE, MX_FIXED, 1);
    BUFFERS(w, MX_BUFFER_SELECTED, MX_BUFFER_COUNTS, MX_BUFFER_JOBS_EXPERTS, MX_BUFFER_ENTRY_ROWS, MX_BUFFER_ENTRY,
            MX_BUFFER_STATUS);
    u32(w, selected);
    u32(w, mx_layer_experts(l));
    u32(w, 1 + w->layer);
    return end(w);
}

static enum moxie_error combine(struct walk *w, const struct mx_layer *l) {
    const uint32_t hidden = w->model->hidden;
    const struct mx_tensor *constants = find(w, MX_ROLE_CONSTANTS, 0);
    begin(w, "route", "mx_combine", MX_PHASE_COMBINE, MX_WORK_GRID, MX_TOKENS, (hidden + 255) / 256);
    weights(w, constants ? constants : find(w, MX_ROLE_ROUTER, 0), constants ? constants->data : MX_NONE);
    BUFFERS(w, MX_BUFFER_OUT, MX_BUFFER_ENTRY, MX_BUFFER_WEIGHT, MX_BUFFER_NORM, MX_BUFFER_LIGHT, MX_BUFFER_X);
    u32(w, hidden);
    u32(w, l->top_k + l->shared);
    u32(w, mx_layer_light(l) ? 1u + l->constants : 0);
    return end(w);
}

/* A dense FFN is one expert that every token takes: its entries are the tokens, and its down projection adds to the
 * residual stream, which gives the same bits as combining with weight 1. */
static enum moxie_error feed_forward(struct walk *w, const struct mx_layer *l) {
    bool sparse = l->routed > 0;
    uint32_t group = site_group(w, MX_ROLE_DOWN);
    struct product gate_up = {
        .role = MX_ROLE_GATE_UP,
        .phase = MX_PHASE_GATE_UP,
        .jobs = sparse ? MX_BUFFER_JOBS_EXPERTS : MX_BUFFER_JOBS_TOKENS,
        .rows = sparse ? MX_BUFFER_ENTRY_ROWS : MX_BUFFER_IOTA,
        .count = MX_TOKENS, /* no expert has more entries than there are tokens */
        .job_count = sparse ? MX_JOBS : MX_FIXED,
        .floats = MX_BUFFER_NORM,
        .out = MX_BUFFER_MIDDLE,
        .ldo = l->width,
        .mode = l->flags & MX_LAYER_GELU ? MODE_GLU_GELU : MODE_GLU,
    };
    struct product down = gate_up;
    down.role = MX_ROLE_DOWN;
    down.phase = MX_PHASE_DOWN;
    down.rows = MX_BUFFER_IOTA;
    down.floats = MX_BUFFER_MIDDLE;
    down.out = sparse ? MX_BUFFER_OUT : MX_BUFFER_X;
    down.ldo = w->model->hidden;
    down.mode = sparse ? MODE_STORE : MODE_RESIDUAL;

    enum moxie_error e =
        norm(w, MX_ROLE_FFN_NORM, MX_PHASE_FFN_NORM, MX_BUFFER_IOTA, MX_TOKENS, site_group(w, MX_ROLE_GATE_UP));
    if (!e && sparse)
        e = route(w, l);
    if (!e)
        e = linear(w, &gate_up);
    if (!e && group)
        e = quantise(w, MX_PHASE_MIDDLE_QUANT, MX_BUFFER_MIDDLE, sparse ? MX_ENTRIES : MX_TOKENS, l->width, group);
    if (!e)
        e = linear(w, &down);
    return e || !sparse ? e : combine(w, l);
}

static enum moxie_error logits(struct walk *w) {
    struct product head = {
        .role = w->model->tied ? MX_ROLE_EMBEDDING : MX_ROLE_HEAD,
        .phase = MX_PHASE_HEAD,
        .jobs = MX_BUFFER_JOBS_LOGITS,
        .rows = MX_BUFFER_IOTA,
        .count = MX_LOGITS,
        .floats = MX_BUFFER_NORM,
        .out = MX_BUFFER_LOGITS,
        .ldo = w->model->vocab,
        .mode = MODE_STORE,
    };
    enum moxie_error e =
        norm(w, MX_ROLE_FINAL_NORM, MX_PHASE_FINAL_NORM, MX_BUFFER_LOGIT_ROWS, MX_LOGITS, site_group(w, head.role));
    return e ? e : linear(w, &head);
}

enum moxie_error mx_model_walk(const struct mx_bundle *bundle, uint32_t kv_blocks, uint32_t max_blocks, bool keep,
                               enum moxie_error (*emit)(void *context, const struct mx_op *op,
                                                        struct moxie_failure *failure),
                               void *context, struct moxie_failure *failure) {
    struct walk w = {.bundle = bundle,
                     .model = &bundle->manifest->model,
                     .kv_blocks = kv_blocks,
                     .max_blocks = max_blocks,
                     .keep = keep,
                     .layer = MX_NONE,
                     .emit = emit,
                     .context = context,
                     .failure = failure};
    enum moxie_error e = embed(&w);
    if (!e)
        e = angles(&w);
    for (uint32_t l = 0; !e && l < w.model->layers; l++) {
        w.layer = l;
        e = copy_blocks(&w);
        if (!e)
            e = attention(&w);
        if (!e)
            e = feed_forward(&w, &bundle->layers[l]);
    }
    w.layer = MX_NONE;
    return e ? e : logits(&w);
}
