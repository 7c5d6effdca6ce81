/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lists.h"

#include <string.h>

#include "runtime/engine.h"

/* ---- What goes together: pure ---- */

/* The list's number of window `w`, MX_SEQUENCE_WINDOWS when it has no room for it. */
static uint32_t slot_of(struct mx_list *list, uint32_t w) {
    uint32_t i = 0;
    while (i < list->windows && list->window[i] != w)
        i++;
    if (i == list->windows && i < MX_SEQUENCE_WINDOWS)
        list->window[list->windows++] = w;
    return i;
}

bool mx_list_take(struct mx_list *list, const struct mx_op *op, const struct mx_window *range, uint32_t windows) {
    struct mx_list longer = *list;
    bool fits = mx_sequence_join(&longer.program, &op->program);
    for (uint32_t i = 0; fits && i < op->operands; i++)
        if (op->operand[i].kind == MX_OPERAND_WINDOW)
            fits = slot_of(&longer, mx_window_of(range, windows, op->operand[i].value)) < MX_SEQUENCE_WINDOWS;
    longer.end++;
    if (fits)
        *list = longer;
    return fits;
}

struct mx_list mx_list_next(const struct mx_list *list) {
    return (struct mx_list){.first = list->end, .end = list->end};
}

/* ---- Binding ---- */

/* A walk over the launches, with the list that is growing or, once there are all, the one that the launch is in. */
struct lists_walk {
    struct moxie *e;
    struct mx_list list;
    uint32_t op, at, written;
};

static enum moxie_error take(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct lists_walk *w = context;
    struct moxie *e = w->e;
    (void)failure;
    if (!mx_list_take(&w->list, op, e->window_range, e->plan.facts.windows)) {
        e->list[w->at++] = w->list;
        w->list = mx_list_next(&w->list);
        mx_list_take(&w->list, op, e->window_range, e->plan.facts.windows);
    }
    e->list[w->at] = w->list;
    e->launch_layer[w->op++] = op->layer;
    return MOXIE_OK;
}

/* The finished list that holds the walk's next launch; NULL when that is enqueued as itself. */
static const struct mx_list *list_of_next(struct lists_walk *w) {
    while (w->e->list[w->at].end <= w->op)
        w->at++;
    w->op++;
    const struct mx_list *l = &w->e->list[w->at];
    return l->end - l->first == 1 ? NULL : l;
}

static enum moxie_error check(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct lists_walk *w = context;
    struct moxie *e = w->e;
    const struct mx_list *l = list_of_next(w);
    enum moxie_error err = l ? mx_sequence_check(&e->cl, &l->program, &op->program, op->kernel, failure) : MOXIE_OK;
    return err || !l || w->op < l->end ? err : mx_progress(&e->cl, "build", l->end, e->plan.facts.launches, failure);
}

static enum moxie_error bind(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct lists_walk *w = context;
    struct moxie *e = w->e;
    const struct mx_list *l = list_of_next(w);
    if (!l)
        return mx_bind_launch(e, op, failure);
    if (w->op < l->end)
        return MOXIE_OK;
    e->gemm[e->launches] = (struct moxie_gemm){.rows = 0};
    struct mx_sequence_memory memory = {.step = e->step,
                                        .session = e->session,
                                        .ops = (uint32_t)(e->plan.place[MX_BUFFER_OPS].offset / MX_PAGE),
                                        .counts = (uint32_t)(e->plan.place[MX_BUFFER_STEP_COUNTS].offset / MX_PAGE),
                                        .progress = (uint32_t)(e->plan.place[MX_BUFFER_PROGRESS].offset / MX_PAGE)};
    for (uint32_t i = 0; i < MX_SEQUENCE_WINDOWS; i++)
        memory.window[i] = e->window[i < l->windows ? l->window[i] : 0];
    return mx_sequence_bind(&e->cl, &e->launch[e->launches++], &l->program, &memory, failure);
}

typedef enum moxie_error each_op(void *context, const struct mx_op *op, struct moxie_failure *failure);

static enum moxie_error walk(struct lists_walk *w, struct moxie *e, each_op *each, struct moxie_failure *failure) {
    *w = (struct lists_walk){.e = e};
    return mx_model_walk(e->bundle, e->plan.kv_blocks, e->plan.max_blocks, e->plan.keep, each, w, failure);
}

/* A launch holds the program that it was bound to, and a wrong kernel has its program built anew: so all are checked
 * first, and once more in a new program what was right in the one before. */
enum moxie_error mx_lists_bind(struct moxie *e, struct moxie_failure *failure) {
    struct lists_walk w;
    enum moxie_error err = walk(&w, e, take, failure);
    for (uint32_t before = e->cl.distrusted + 1; !err && before != e->cl.distrusted;) {
        before = e->cl.distrusted;
        err = walk(&w, e, check, failure);
    }
    return err ? err : walk(&w, e, bind, failure);
}

/* ---- The table ---- */

static enum moxie_error flush(struct lists_walk *w, struct moxie_failure *failure) {
    struct moxie *e = w->e;
    const uint64_t bytes = 4ull * MX_OP_WORDS;
    if (w->op == w->written)
        return MOXIE_OK;
    enum moxie_error err = mx_cl_write(&e->cl, e->buffer[MX_BUFFER_OPS], bytes * w->written, e->scratch,
                                       (size_t)(bytes * (w->op - w->written)), failure);
    w->written = w->op;
    return err ? err : mx_cl_finish(&e->cl, failure);
}

static enum moxie_error record(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct lists_walk *w = context;
    struct moxie *e = w->e;
    const uint64_t bytes = 4ull * MX_OP_WORDS;
    const struct mx_list *l = list_of_next(w);
    uint32_t *to = (uint32_t *)(e->scratch + bytes * (w->op - 1 - w->written));
    memset(to, 0, bytes);
    if (l) {
        uint32_t args[MX_OPERANDS];
        struct mx_list slots = *l;
        struct mx_launch grid;
        for (uint32_t i = 0; i < op->operands; i++) {
            const struct mx_operand *o = &op->operand[i];
            const uint64_t kv = o->value * e->plan.kv_layer_bytes;
            const uint32_t w_number = o->kind == MX_OPERAND_WINDOW || o->kind == MX_OPERAND_WINDOW_NUMBER
                                          ? mx_window_of(e->window_range, e->plan.facts.windows, o->value)
                                          : 0;
            switch (o->kind) {
            case MX_OPERAND_BUFFER:
                args[i] = (uint32_t)(e->plan.place[o->value].offset / MX_PAGE);
                break;
            case MX_OPERAND_WINDOW:
                args[i] = slot_of(&slots, w_number);
                break;
            case MX_OPERAND_WINDOW_NUMBER:
                args[i] = w_number;
                break;
            case MX_OPERAND_KV:
                args[i] = (uint32_t)(kv / MX_PAGE);
                break;
            case MX_OPERAND_U32:
                args[i] = o->value;
                break;
            case MX_OPERAND_F32:
                memcpy(&args[i], &o->real, 4);
                break;
            }
        }
        mx_launch_grid(&e->cl, &grid, &op->grid);
        mx_sequence_record(op->kernel, &grid, args, op->operands, to);
    }
    return bytes * (w->op - w->written + 1) > e->scratch_bytes ? flush(w, failure) : MOXIE_OK;
}

enum moxie_error mx_lists_write(struct moxie *e, struct moxie_failure *failure) {
    struct lists_walk w;
    enum moxie_error err = walk(&w, e, record, failure);
    return err ? err : flush(&w, failure);
}
