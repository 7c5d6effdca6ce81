/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/plan.h"

#include <string.h>

#include "opencl/device.h"
#include "opencl/program.h"
#include "runtime/engine.h"

static uint64_t align_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

/* ---- Buffers: name, and the phases in which each must keep its bytes ---- */

/* Phases `first` .. `last`, as bits. */
#define PHASES(first, last) ((2u << MX_PHASE_##last) - (1u << MX_PHASE_##first))
#define ALWAYS PHASES(BEGIN, END)
/* a site of the matrices, quantised: from what writes it to what multiplies it */
#define SITES                                                                                                          \
    (PHASES(ATTN_NORM, QKV) | PHASES(ATTN_QUANT, ATTN_OUT) | PHASES(FFN_NORM, DOWN) | PHASES(FINAL_NORM, HEAD))

static const struct {
    const char *name;
    uint32_t phases;
} buffer_facts[MX_BUFFERS] = {
    [MX_BUFFER_SEGMENTS] = {"segment table", ALWAYS},
    [MX_BUFFER_IOTA] = {"row numbers", ALWAYS},
    [MX_BUFFER_OPS] = {"list of launches", ALWAYS},
    [MX_BUFFER_STATUS] = {"status", ALWAYS},
    [MX_BUFFER_COUNTS] = {"counts", ALWAYS},
    [MX_BUFFER_STEP_COUNTS] = {"counts of lists", ALWAYS},
    [MX_BUFFER_PROGRESS] = {"progress of lists", ALWAYS},
    [MX_BUFFER_JOBS_TOKENS] = {"job of all tokens", ALWAYS},
    [MX_BUFFER_JOBS_LOGITS] = {"job of the logits", ALWAYS},
    [MX_BUFFER_TOKEN] = {"token ids", ALWAYS},
    [MX_BUFFER_POSITION] = {"positions", ALWAYS},
    [MX_BUFFER_SEQUENCE] = {"sequences", ALWAYS},
    [MX_BUFFER_LOGIT_ROWS] = {"logit rows", ALWAYS},
    [MX_BUFFER_COPIES] = {"KV block copies", ALWAYS},
    [MX_BUFFER_BLOCKS] = {"KV block table", ALWAYS},
    [MX_BUFFER_X] = {"residual stream", ALWAYS},
    [MX_BUFFER_ANGLES] = {"rotary angles", ALWAYS},
    [MX_BUFFER_NORM] = {"normalised", PHASES(ATTN_NORM, QKV) | PHASES(FFN_NORM, GATE_UP) | PHASES(FINAL_NORM, HEAD)},
    [MX_BUFFER_QUANT] = {"quantised site", SITES},
    [MX_BUFFER_QUANT_SCALE] = {"its scales", SITES},
    [MX_BUFFER_QUANT_SUM] = {"its group sums", SITES},
    [MX_BUFFER_QKV] = {"q, k, v", PHASES(QKV, ROPE)},
    [MX_BUFFER_Q] = {"rotated q", PHASES(ROPE, ATTENTION)},
    [MX_BUFFER_ATTENTION] = {"attention output", PHASES(ATTENTION, ATTN_OUT)},
    [MX_BUFFER_ROUTER] = {"router logits", PHASES(ROUTER, ROUTE)},
    [MX_BUFFER_CARRIED] = {"carried logits", ALWAYS},
    [MX_BUFFER_SELECTED] = {"selected experts", PHASES(ROUTE, SORT)},
    [MX_BUFFER_KEPT] = {"experts of all layers", ALWAYS},
    [MX_BUFFER_WEIGHT] = {"routing weights", PHASES(ROUTE, COMBINE)},
    [MX_BUFFER_LIGHT] = {"factors of light experts", PHASES(ROUTE, COMBINE)},
    [MX_BUFFER_ENTRY] = {"entry numbers", PHASES(SORT, COMBINE)},
    [MX_BUFFER_JOBS_EXPERTS] = {"expert jobs", PHASES(SORT, DOWN)},
    [MX_BUFFER_ENTRY_ROWS] = {"entry rows", PHASES(SORT, GATE_UP)},
    [MX_BUFFER_MIDDLE] = {"expert middle", PHASES(GATE_UP, MIDDLE_QUANT)},
    [MX_BUFFER_OUT] = {"expert output", PHASES(DOWN, COMBINE)},
    [MX_BUFFER_LOGITS] = {"logits", PHASES(HEAD, END)},
};

const char *mx_buffer_name(enum mx_buffer buffer) {
    return buffer_facts[buffer].name;
}

static void sizes(const struct mx_bundle *bundle, struct mx_plan *p) {
    const struct mx_model *m = &bundle->manifest->model;
    const struct mx_shape *s = &p->shape;
    const uint64_t T = p->step_tokens, L = p->step_logits, entries = T * s->selected;
    const uint64_t qkv = (uint64_t)(m->heads + 2 * m->kv_heads) * m->head_dim, q = (uint64_t)m->heads * m->head_dim;
    const uint64_t sparse = s->router_rows ? 1 : 0, listed = p->lists ? p->facts.launches : 0;
    const uint64_t bytes[MX_BUFFERS] = {
        [MX_BUFFER_SEGMENTS] = 8ull * bundle->manifest->segments,
        [MX_BUFFER_IOTA] = 4 * entries,
        [MX_BUFFER_OPS] = listed * MX_OP_WORDS * 4,
        [MX_BUFFER_STATUS] = 4 + 4ull * m->layers,
        [MX_BUFFER_COUNTS] = 8,
        [MX_BUFFER_STEP_COUNTS] = listed ? 4 * MX_COUNTS : 0,
        [MX_BUFFER_PROGRESS] = listed * MX_PROGRESS_WORDS * 4,
        [MX_BUFFER_JOBS_TOKENS] = 16,
        [MX_BUFFER_JOBS_LOGITS] = 16,
        [MX_BUFFER_TOKEN] = 4 * T,
        [MX_BUFFER_POSITION] = 4 * T,
        [MX_BUFFER_SEQUENCE] = 4 * T,
        [MX_BUFFER_LOGIT_ROWS] = 4 * L,
        [MX_BUFFER_COPIES] = 8ull * p->sequences,
        [MX_BUFFER_BLOCKS] = 4ull * p->sequences * p->max_blocks,
        [MX_BUFFER_X] = 4 * T * m->hidden,
        [MX_BUFFER_ANGLES] = 4 * T * m->head_dim,
        [MX_BUFFER_NORM] = 4 * T * m->hidden,
        [MX_BUFFER_QUANT] = T * s->quant_bytes,
        [MX_BUFFER_QUANT_SCALE] = 4 * T * s->quant_groups,
        [MX_BUFFER_QUANT_SUM] = 4 * T * s->quant_groups,
        [MX_BUFFER_QKV] = 4 * T * qkv,
        [MX_BUFFER_Q] = 4 * T * q,
        [MX_BUFFER_ATTENTION] = 4 * T * q,
        [MX_BUFFER_ROUTER] = 4 * T * s->router_rows,
        [MX_BUFFER_CARRIED] = 4 * T * s->carried,
        [MX_BUFFER_SELECTED] = sparse * 4 * entries,
        [MX_BUFFER_KEPT] = p->keep ? sparse * 4 * entries * m->layers : 0,
        [MX_BUFFER_WEIGHT] = sparse * 4 * entries,
        [MX_BUFFER_LIGHT] = 4 * T * s->light,
        [MX_BUFFER_ENTRY] = sparse * 4 * entries,
        [MX_BUFFER_JOBS_EXPERTS] = sparse * 16 * s->experts,
        [MX_BUFFER_ENTRY_ROWS] = sparse * 4 * entries,
        [MX_BUFFER_MIDDLE] = 4 * T * s->middle,
        [MX_BUFFER_OUT] = 4 * T * s->out,
        [MX_BUFFER_LOGITS] = 4 * L * m->vocab,
    };
    for (uint32_t i = 0; i < MX_BUFFERS; i++) {
        /* A kernel's argument is never a missing buffer: models without quantised sites or light experts bind one. */
        const bool bound = (i >= MX_BUFFER_QUANT && i <= MX_BUFFER_QUANT_SUM) ||
                           (sparse && (i == MX_BUFFER_CARRIED || i == MX_BUFFER_LIGHT));
        p->place[i].bytes = !bytes[i] && bound ? 4 : bytes[i];
    }
}

/* The phases in which `buffer` must keep its bytes in this model. */
static uint32_t phases(const struct mx_plan *p, uint32_t buffer) {
    uint32_t of = buffer_facts[buffer].phases;
    if (buffer == MX_BUFFER_MIDDLE && p->shape.down_of_floats)
        of |= PHASES(GATE_UP, DOWN);
    if (buffer == MX_BUFFER_NORM && p->shape.light) /* light experts hand on what they are given */
        of |= PHASES(FFN_NORM, COMBINE);
    return of;
}

/* Gives each buffer a place in STEP: parameters first and side by side, then the others, largest first, at the lowest
 * offset that no buffer alive at the same time covers. */
static uint64_t place(struct mx_plan *p) {
    uint64_t end = 0;
    bool placed[MX_BUFFERS] = {false};
    for (uint32_t i = MX_BUFFER_STATUS; i <= MX_BUFFER_BLOCKS; i++) {
        p->place[i].offset = end;
        end = align_up(end + p->place[i].bytes, MX_REGION_ALIGN);
        placed[i] = true;
    }
    p->parameters_offset = 0;
    p->parameters_bytes = p->place[MX_BUFFER_BLOCKS].offset + p->place[MX_BUFFER_BLOCKS].bytes;
    for (;;) {
        uint32_t next = MX_BUFFERS;
        for (uint32_t i = 0; i < MX_BUFFERS; i++)
            if (!placed[i] && p->place[i].bytes && (next == MX_BUFFERS || p->place[i].bytes > p->place[next].bytes))
                next = i;
        if (next == MX_BUFFERS)
            return end;
        uint64_t offset = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t i = 0; i < MX_BUFFERS; i++) {
                const struct mx_place *other = &p->place[i];
                if (placed[i] && phases(p, i) & phases(p, next) && offset < other->offset + other->bytes &&
                    other->offset < offset + p->place[next].bytes) {
                    offset = align_up(other->offset + other->bytes, MX_REGION_ALIGN);
                    moved = true;
                }
            }
        }
        p->place[next].offset = offset;
        placed[next] = true;
        if (end < offset + p->place[next].bytes)
            end = offset + p->place[next].bytes;
    }
}

/* ---- Windows ---- */

/* Segments i .. of the same layer (or the model's own), the unit that is kept in one window where it fits. */
static uint32_t group_end(const struct mx_bundle *bundle, uint32_t i) {
    uint32_t n = i + 1;
    while (n < bundle->manifest->segments && bundle->segments[n].layer == bundle->segments[i].layer)
        n++;
    return n;
}

enum moxie_error mx_plan_windows(const struct mx_bundle *bundle, const struct moxie_device_facts *facts,
                                 struct mx_window *window, uint32_t *windows, struct moxie_failure *failure) {
    const struct mx_segment *s = bundle->segments;
    uint64_t limit = facts->max_alloc_bytes < MX_SEGMENT_MAX ? facts->max_alloc_bytes : MX_SEGMENT_MAX;
    struct mx_window now = {.first = MX_NONE};
    uint32_t n = 0, stop = 0; /* stop: end of the layer that is being added */
    for (uint32_t i = 0; i < bundle->manifest->segments; i++) {
        if (s[i].kind == MX_SEGMENT_TOKENIZER || s[i].kind == MX_SEGMENT_LICENSE)
            continue;
        if (s[i].bytes > limit)
            return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, s[i].offset,
                           "segment %u has %llu bytes, the device allocates at most %llu at once", i,
                           (unsigned long long)s[i].bytes, (unsigned long long)limit);
        bool cut = now.first == MX_NONE || s[i].offset + s[i].bytes - now.offset > limit;
        if (!cut && i >= stop) { /* at the start of a layer: does all of it fit? */
            const struct mx_segment *last = &s[group_end(bundle, i) - 1];
            cut = last->offset + last->bytes - now.offset > limit && last->offset + last->bytes - s[i].offset <= limit;
        }
        if (i >= stop)
            stop = group_end(bundle, i);
        if (cut) {
            if (now.first != MX_NONE) {
                if (window)
                    window[n] = now;
                n++;
            }
            now = (struct mx_window){.offset = s[i].offset, .first = i};
        }
        now.last = i;
        now.bytes = s[i].offset + s[i].bytes - now.offset;
        if (n + 1 > MX_MAX_WINDOWS)
            return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, UINT64_MAX,
                           "the weights need more than %u buffers of at most %llu bytes", MX_MAX_WINDOWS,
                           (unsigned long long)limit);
    }
    if (window)
        window[n] = now;
    *windows = n + 1;
    return MOXIE_OK;
}

uint32_t mx_window_of(const struct mx_window *window, uint32_t windows, uint32_t segment) {
    uint32_t w = 0;
    while (w + 1 < windows && window[w].last < segment)
        w++;
    return w;
}

/* ---- The whole plan ---- */

enum { MX_VERIFY_PROGRAMS = 1 }; /* mx_verify_on_device builds one beside those of the steps */

struct tally {
    bool lists;
    uint32_t windows;
    const struct mx_window *window;
    struct mx_list list; /* the one that is growing */
    struct mx_program_key last;
    uint32_t launches, enqueues, programs;
    struct mx_program_key seen[MX_MAX_PROGRAMS];
};

static enum moxie_error count_program(struct tally *t, const struct mx_program_key *key,
                                      struct moxie_failure *failure) {
    t->enqueues++;
    for (uint32_t i = 0; i < t->programs; i++)
        if (mx_same_program(&t->seen[i], key))
            return MOXIE_OK;
    if (t->programs == MX_MAX_PROGRAMS - MX_VERIFY_PROGRAMS)
        return mx_fail(failure, MOXIE_ERROR_MODEL, UINT64_MAX, "the model mixes more than %u kinds of kernels",
                       MX_MAX_PROGRAMS - MX_VERIFY_PROGRAMS);
    t->seen[t->programs++] = *key;
    return MOXIE_OK;
}

static enum moxie_error count_list(struct tally *t, struct moxie_failure *failure) {
    bool alone = t->list.end - t->list.first == 1;
    return count_program(t, alone ? &t->last : &t->list.program, failure);
}

static enum moxie_error count_op(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct tally *t = context;
    enum moxie_error e = MOXIE_OK;
    t->launches++;
    if (!t->lists)
        return count_program(t, &op->program, failure);
    if (!mx_list_take(&t->list, op, t->window, t->windows)) {
        e = count_list(t, failure);
        t->list = mx_list_next(&t->list);
        mx_list_take(&t->list, op, t->window, t->windows);
    }
    t->last = op->program;
    return e;
}

static uint32_t or_default(uint32_t value, uint64_t otherwise) {
    return value ? value : otherwise < UINT32_MAX ? (uint32_t)otherwise : UINT32_MAX;
}

static enum moxie_error settle(const struct mx_model *m, const struct moxie_config *c, struct mx_plan *p,
                               struct moxie_failure *failure) {
    if (c->size != sizeof *c)
        return mx_fail(failure, MOXIE_ERROR_VERSION, UINT64_MAX, "moxie_config has size %u, this library knows %zu",
                       c->size, sizeof *c);
    p->sequences = or_default(c->sequences, 1);
    if (p->sequences > 256)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, UINT64_MAX, "%u sequences, at most 256", p->sequences);
    uint64_t context = or_default(c->context, m->max_positions < 4096 ? m->max_positions : 4096);
    if (context > m->max_positions)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, UINT64_MAX, "context of %llu positions, the model has %u",
                       (unsigned long long)context, m->max_positions);
    p->context = (uint32_t)context;
    p->keep = c->experts != 0;
    p->max_blocks = (uint32_t)((context + MX_KV_BLOCK - 1) / MX_KV_BLOCK);
    uint64_t blocks = c->kv_positions ? ((uint64_t)c->kv_positions + MX_KV_BLOCK - 1) / MX_KV_BLOCK
                                      : (uint64_t)p->max_blocks * p->sequences;
    if (blocks > 1u << 22)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, UINT64_MAX, "%llu KV blocks, at most %u",
                       (unsigned long long)blocks, 1u << 22);
    p->kv_blocks = (uint32_t)blocks;
    p->step_tokens = or_default(c->step_tokens, p->context < 256 ? p->context : 256);
    if (p->step_tokens < p->sequences)
        p->step_tokens = p->sequences;
    if (p->step_tokens > 65536)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, UINT64_MAX, "%u tokens in a step, at most 65536", p->step_tokens);
    p->step_logits = or_default(c->step_logits, p->sequences);
    if (p->step_logits > p->step_tokens)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, UINT64_MAX, "%u rows of logits for steps of %u tokens",
                       p->step_logits, p->step_tokens);
    return MOXIE_OK;
}

/* Kernels reach the weights of one launch through two windows. */
static enum moxie_error check_spans(const struct mx_bundle *bundle, const struct mx_window *window, uint32_t windows,
                                    struct moxie_failure *failure) {
    for (uint32_t i = 0; i < bundle->manifest->tensors; i++) {
        const struct mx_tensor *t = &bundle->tensors[i];
        uint32_t touched = 0;
        for (uint32_t k = 0; k < windows; k++)
            touched += window[k].first < t->segment + t->segments && t->segment <= window[k].last;
        if (touched > 2)
            return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, UINT64_MAX,
                           "the experts of layer %u spread over %u device buffers, at most 2", t->layer, touched);
    }
    return MOXIE_OK;
}

enum moxie_error mx_plan(const struct mx_bundle *bundle, const struct moxie_device_facts *facts,
                         const struct moxie_config *config, struct mx_plan *p, struct moxie_failure *failure) {
    const struct mx_model *m = &bundle->manifest->model;
    *p = (struct mx_plan){.context = 0};
    enum moxie_error e = mx_device_accept(facts, failure);
    if (!e)
        e = mx_model_shape(bundle, &p->shape, failure);
    if (!e)
        e = settle(m, config, p, failure);
    struct moxie_tunables tunables;
    if (!e)
        e = moxie_device_tunables(facts, config->tunables, &tunables, NULL, failure);
    if (!e)
        e = mx_plan_rounds(bundle, p, &tunables, failure);
    if (e)
        return e;

    struct mx_window window[MX_MAX_WINDOWS];
    uint32_t windows = 0;
    e = mx_plan_windows(bundle, facts, window, &windows, failure);
    if (!e)
        e = check_spans(bundle, window, windows, failure);
    const uint64_t position = mx_kv_position_bytes(m->kv_type, m->kv_heads, m->head_dim);
    p->kv_layer_bytes = align_up(position * MX_KV_BLOCK * p->kv_blocks, MX_REGION_ALIGN);
    /* a list has SESSION as one buffer */
    p->lists = mx_sequence_device(facts, &tunables) && 2 * p->kv_layer_bytes * m->layers <= facts->max_alloc_bytes;
    struct tally tally = {.lists = p->lists, .window = window, .windows = windows};
    if (!e)
        e = mx_model_walk(bundle, p->kv_blocks, p->max_blocks, p->keep, count_op, &tally, failure);
    if (!e && p->lists)
        e = count_list(&tally, failure);
    if (e)
        return e;

    p->facts.launches = tally.launches;
    sizes(bundle, p);
    uint64_t step = place(p);
    if (step < MX_STEP_BYTES_MIN)
        step = MX_STEP_BYTES_MIN;
    struct moxie_plan *f = &p->facts;
    f->region_bytes[MOXIE_REGION_SESSION] = 2 * p->kv_layer_bytes * m->layers;
    f->region_bytes[MOXIE_REGION_STEP] = align_up(step, MX_REGION_ALIGN);
    for (uint32_t i = 0; i < windows; i++)
        f->weight_bytes += window[i].bytes;
    f->bytes_per_token = p->shape.bytes_per_token;
    f->kv_bytes_per_token = 2 * position * m->layers;
    f->context = p->context;
    f->sequences = p->sequences;
    f->kv_blocks = p->kv_blocks;
    f->step_tokens = p->step_tokens;
    f->step_logits = p->step_logits;
    f->windows = windows;
    f->enqueues = tally.enqueues;
    f->programs = tally.programs + (config->no_verify ? 0 : MX_VERIFY_PROGRAMS);
    f->region_bytes[MOXIE_REGION_HOST] = align_up(mx_engine_bytes(bundle, p), MX_REGION_ALIGN);
    f->device_bytes = (facts->host_unified ? 0 : f->weight_bytes) + f->region_bytes[MOXIE_REGION_SESSION] +
                      f->region_bytes[MOXIE_REGION_STEP];

    uint64_t largest =
        p->kv_layer_bytes > f->region_bytes[MOXIE_REGION_STEP] ? p->kv_layer_bytes : f->region_bytes[MOXIE_REGION_STEP];
    if (largest > facts->max_alloc_bytes)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, UINT64_MAX,
                       "a buffer of %llu bytes, the device allocates at most %llu: use a smaller context or step",
                       (unsigned long long)largest, (unsigned long long)facts->max_alloc_bytes);
    if (f->device_bytes > facts->global_bytes)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_MEMORY, UINT64_MAX,
                       "the plan needs %llu bytes of device memory, the device has %llu",
                       (unsigned long long)f->device_bytes, (unsigned long long)facts->global_bytes);
    return MOXIE_OK;
}
