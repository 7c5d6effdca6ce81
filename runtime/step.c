/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/engine.h"
#include "runtime/sample.h"

static void *parameter(const struct moxie *e, enum mx_buffer buffer) {
    return e->parameters + e->plan.place[buffer].offset;
}

/* Checks the entries, counts tokens per sequence and rows of logits. */
static enum moxie_error check_entries(struct moxie *e, const struct moxie_entry *entries, uint32_t count,
                                      uint32_t *rows, struct moxie_failure *failure) {
    uint32_t vocab = e->bundle->manifest->model.vocab;
    memset(e->appended, 0, sizeof *e->appended * e->plan.sequences);
    *rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct moxie_entry *x = &entries[i];
        if (x->sequence >= e->plan.sequences)
            return mx_fail(failure, MOXIE_ERROR_SEQUENCE, MX_NO_OFFSET, "entry %u: sequence %u of %u", i, x->sequence,
                           e->plan.sequences);
        uint32_t expected = e->kv.length[x->sequence] + e->appended[x->sequence]++;
        if (x->position != expected)
            return mx_fail(failure, MOXIE_ERROR_SEQUENCE, MX_NO_OFFSET,
                           "entry %u: position %u of sequence %u, the next one is %u", i, x->position, x->sequence,
                           expected);
        if (x->token < 0 || (uint32_t)x->token >= vocab)
            return mx_fail(failure, MOXIE_ERROR_TOKEN, MX_NO_OFFSET, "entry %u: token %d, the vocabulary has %u", i,
                           x->token, vocab);
        *rows += x->want_logits != 0;
    }
    if (*rows > e->plan.step_logits)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "%u rows of logits, the plan has room for %u",
                       *rows, e->plan.step_logits);
    return MOXIE_OK;
}

/* Takes KV blocks for every sequence, or for none. */
static enum moxie_error reserve(struct moxie *e, uint32_t *copies, struct moxie_failure *failure) {
    *copies = 0;
    for (uint32_t s = 0; s < e->plan.sequences; s++) {
        if (!e->appended[s])
            continue;
        enum moxie_error err = mx_kv_reserve(&e->kv, s, e->appended[s], e->copies, copies, failure);
        if (!err)
            continue;
        while (*copies)
            mx_kv_undo_copy(&e->kv, e->copies[--*copies]);
        for (uint32_t k = 0; k < s; k++)
            mx_kv_set_length(&e->kv, k, e->kv.length[k]);
        return err;
    }
    return MOXIE_OK;
}

static void fill_parameters(struct moxie *e, const struct moxie_entry *entries, const uint32_t counts[MX_COUNTS]) {
    const uint32_t count = counts[MX_TOKENS];
    int32_t *token = parameter(e, MX_BUFFER_TOKEN), *sequence = parameter(e, MX_BUFFER_SEQUENCE);
    int32_t *position = parameter(e, MX_BUFFER_POSITION);
    uint32_t *logit_rows = parameter(e, MX_BUFFER_LOGIT_ROWS);
    for (uint32_t i = 0, row = 0; i < count; i++) {
        token[i] = entries[i].token;
        position[i] = (int32_t)entries[i].position;
        sequence[i] = (int32_t)entries[i].sequence;
        if (entries[i].want_logits)
            logit_rows[row++] = i;
    }
    memset(parameter(e, MX_BUFFER_STATUS), 0, (size_t)e->plan.place[MX_BUFFER_STATUS].bytes);
    *(uint32_t *)parameter(e, MX_BUFFER_COUNTS) = count;
    ((uint32_t *)parameter(e, MX_BUFFER_JOBS_TOKENS))[2] = count;
    ((uint32_t *)parameter(e, MX_BUFFER_JOBS_LOGITS))[2] = counts[MX_LOGITS];
    if (e->plan.lists)
        memcpy(parameter(e, MX_BUFFER_STEP_COUNTS), counts, sizeof *counts * MX_COUNTS);
    memcpy(parameter(e, MX_BUFFER_BLOCKS), e->kv.table, (size_t)e->plan.place[MX_BUFFER_BLOCKS].bytes);
}

/* Enqueues the launch table. A long step waits once per layer, so that it can be cancelled there. */
static enum moxie_error run(struct moxie *e, const uint32_t counts[MX_COUNTS], struct moxie_failure *failure) {
    const bool patient = counts[MX_TOKENS] >= 16;
    for (uint32_t i = 0, op = 0; i < e->launches;) {
        if (atomic_load(&e->cancel))
            return mx_fail(failure, MOXIE_ERROR_CANCELLED, MX_NO_OFFSET, "cancelled after %u of %u launches", op,
                           e->plan.facts.launches);
        const struct mx_list *list = &e->list[i];
        const bool alone = list->end - list->first == 1;
        uint32_t end = patient ? op + 1 : list->end; /* of what runs now */
        while (end < list->end && e->launch_layer[end] == e->launch_layer[op])
            end++;
        enum moxie_error err =
            e->gemm[i].rows ? mx_blas_run(e, i, counts[e->launch[i].needs], failure)
            : alone         ? mx_launch_run(&e->cl, &e->launch[i], counts, e->profile ? &e->event[i] : NULL, failure)
                            : mx_sequence_run(&e->cl, &e->launch[i], op, end, failure);
        i += end == list->end;
        if (!err && patient && i < e->launches && e->launch_layer[end - 1] != e->launch_layer[end])
            err = mx_cl_finish(&e->cl, failure);
        if (err)
            return err;
        op = end;
    }
    return MOXIE_OK;
}

/* Waits, and fetches the status, the logits, and the experts where they are kept. */
static enum moxie_error collect(struct moxie *e, uint32_t count, uint32_t rows, struct moxie_failure *failure) {
    const int32_t *status = parameter(e, MX_BUFFER_STATUS);
    size_t values = (size_t)rows * e->bundle->manifest->model.vocab;
    enum moxie_error err = mx_cl_read(&e->cl, e->buffer[MX_BUFFER_STATUS], 0, parameter(e, MX_BUFFER_STATUS),
                                      (size_t)e->plan.place[MX_BUFFER_STATUS].bytes, failure);
    if (!err && rows)
        err = mx_cl_read(&e->cl, e->buffer[MX_BUFFER_LOGITS], 0, e->logits, values * sizeof *e->logits, failure);
    if (!err && e->plan.place[MX_BUFFER_KEPT].bytes)
        err = mx_cl_read(&e->cl, e->buffer[MX_BUFFER_KEPT], 0, e->kept,
                         sizeof *e->kept * count * e->bundle->manifest->model.layers * e->plan.shape.selected, failure);
    if (err)
        return err;
    if (*status || !mx_finite(e->logits, values))
        return mx_fail(failure, MOXIE_ERROR_NOT_FINITE, MX_NO_OFFSET,
                       *status & 2 ? "an index computed on the device is out of range (status %d)"
                                   : "an activation became NaN or infinite (status %d)",
                       *status);
    return MOXIE_OK;
}

static enum moxie_error step(struct moxie *e, const struct moxie_entry *entries, uint32_t count,
                             struct moxie_failure *failure) {
    if (e->lost)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_LOST, MX_NO_OFFSET, "the device was lost: close the engine");
    if (!entries || !count || count > e->plan.step_tokens)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "%u entries, a step takes 1 to %u", count,
                       e->plan.step_tokens);
    uint32_t rows = 0, copies = 0;
    enum moxie_error err = check_entries(e, entries, count, &rows, failure);
    if (!err)
        err = reserve(e, &copies, failure);
    if (err)
        return err;

    const struct mx_shape *s = &e->plan.shape;
    uint32_t counts[MX_COUNTS] = {[MX_FIXED] = 1, [MX_TOKENS] = count, [MX_LOGITS] = rows, [MX_COPIES] = copies};
    counts[MX_ENTRIES] = count * s->selected;
    counts[MX_JOBS] = s->experts < counts[MX_ENTRIES] ? s->experts : counts[MX_ENTRIES];
    e->rows = e->kept_tokens = 0;
    fill_parameters(e, entries, counts);
    err = mx_cl_write(&e->cl, e->step, e->plan.parameters_offset, e->parameters, (size_t)e->plan.parameters_bytes,
                      failure);
    if (!err)
        err = run(e, counts, failure);
    if (err) { /* nothing may run on; the first failure is the one that is told */
        bool cancelled = err == MOXIE_ERROR_CANCELLED;
        enum moxie_error waited = mx_cl_finish(&e->cl, cancelled ? failure : NULL);
        if (cancelled && waited)
            err = waited;
    }
    if (!err)
        err = collect(e, count, rows, failure);
    memcpy(e->counts, counts, sizeof counts);
    e->positions_read = 0;
    for (uint32_t q = 0; q < e->plan.sequences; q++)
        e->positions_read += e->appended[q] ? e->kv.length[q] + e->appended[q] : 0;
    if (err) /* what it read is unknown */
        e->counts[MX_TOKENS] = 0;
    if (!err && e->profile)
        err = mx_profile_step(e, failure);
    mx_profile_forget(e);
    if (err && err != MOXIE_ERROR_CANCELLED && err != MOXIE_ERROR_NOT_FINITE)
        e->lost = true;   /* what ran and what did not is unknown */
    while (err && copies) /* they may have been made for some layers only */
        mx_kv_undo_copy(&e->kv, e->copies[--copies]);
    for (uint32_t q = 0; q < e->plan.sequences; q++)
        if (e->appended[q])
            mx_kv_set_length(&e->kv, q, e->kv.length[q] + (err ? 0 : e->appended[q]));
    e->rows = err ? 0 : rows;
    e->kept_tokens = err || !e->plan.place[MX_BUFFER_KEPT].bytes ? 0 : count;
    return err;
}

enum moxie_error moxie_step(struct moxie *engine, const struct moxie_entry *entries, uint32_t count,
                            struct moxie_failure *failure) {
    if (!engine)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "engine is NULL");
    mx_arm(engine);
    return step(engine, entries, count, failure);
}

const float *moxie_logits(const struct moxie *engine, uint32_t index) {
    return engine && index < engine->rows ? engine->logits + (size_t)index * engine->bundle->manifest->model.vocab
                                          : NULL;
}

const int32_t *moxie_experts(const struct moxie *engine, uint32_t entry, uint32_t layer, uint32_t *count) {
    if (count)
        *count = 0;
    if (!engine || entry >= engine->kept_tokens || layer >= engine->bundle->manifest->model.layers ||
        !engine->bundle->layers[layer].routed)
        return NULL;
    if (count)
        *count = engine->bundle->layers[layer].top_k;
    return engine->kept +
           ((size_t)entry * engine->bundle->manifest->model.layers + layer) * engine->plan.shape.selected;
}

enum moxie_error moxie_prefill(struct moxie *engine, uint32_t sequence, const int32_t *tokens, size_t count,
                               struct moxie_failure *failure) {
    if (!engine || !tokens || !count)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "engine or tokens is NULL, or no tokens");
    if (sequence >= engine->plan.sequences)
        return mx_fail(failure, MOXIE_ERROR_SEQUENCE, MX_NO_OFFSET, "sequence %u of %u", sequence,
                       engine->plan.sequences);
    uint32_t before = engine->kv.length[sequence];
    if (count > mx_kv_room(&engine->kv, sequence))
        return mx_fail(failure, MOXIE_ERROR_CONTEXT_FULL, MX_NO_OFFSET,
                       "%zu tokens do not fit: sequence %u has %u positions and room for %u more", count, sequence,
                       before, mx_kv_room(&engine->kv, sequence));
    mx_arm(engine);
    enum moxie_error err = MOXIE_OK;
    for (size_t done = 0; !err && done < count;) {
        uint32_t n = count - done < engine->plan.step_tokens ? (uint32_t)(count - done) : engine->plan.step_tokens;
        struct moxie_entry *list = (struct moxie_entry *)engine->scratch;
        for (uint32_t i = 0; i < n; i++)
            list[i] = (struct moxie_entry){.sequence = sequence,
                                           .position = before + (uint32_t)done + i,
                                           .token = tokens[done + i],
                                           .want_logits = done + i + 1 == count};
        err = step(engine, list, n, failure);
        done += n;
    }
    if (err)
        mx_kv_set_length(&engine->kv, sequence, before);
    return err;
}

void moxie_cancel(struct moxie *engine) {
    if (engine)
        atomic_store(&engine->cancel, 1);
}

uint32_t moxie_sequence_length(const struct moxie *engine, uint32_t sequence) {
    return engine && sequence < engine->plan.sequences ? engine->kv.length[sequence] : 0;
}

uint32_t moxie_sequence_room(const struct moxie *engine, uint32_t sequence) {
    return engine && sequence < engine->plan.sequences ? mx_kv_room(&engine->kv, sequence) : 0;
}

enum moxie_error moxie_sequence_truncate(struct moxie *engine, uint32_t sequence, uint32_t length,
                                         struct moxie_failure *failure) {
    if (!engine || sequence >= engine->plan.sequences || length > engine->kv.length[sequence])
        return mx_fail(failure, MOXIE_ERROR_SEQUENCE, MX_NO_OFFSET, "sequence %u cannot be cut to %u positions",
                       sequence, length);
    mx_kv_set_length(&engine->kv, sequence, length);
    return MOXIE_OK;
}

enum moxie_error moxie_sequence_fork(struct moxie *engine, uint32_t from, uint32_t to, uint32_t length,
                                     struct moxie_failure *failure) {
    if (!engine || from >= engine->plan.sequences || to >= engine->plan.sequences || from == to ||
        length > engine->kv.length[from])
        return mx_fail(failure, MOXIE_ERROR_SEQUENCE, MX_NO_OFFSET, "sequence %u cannot become %u positions of %u", to,
                       length, from);
    mx_kv_fork(&engine->kv, from, to, length);
    return MOXIE_OK;
}
