/* SPDX-License-Identifier: Apache-2.0
 *
 * The public text functions over tokenizer, detokeniser, chat templates and sampler. */
#include <string.h>

#include "runtime/chat.h"
#include "runtime/detokenize.h"
#include "runtime/engine.h"
#include "runtime/sample.h"

_Static_assert(sizeof(struct mx_detok) <= sizeof(struct moxie_text), "the public text state is too small");
_Static_assert((int)MOXIE_CHAT_AT_START == (int)MX_CHAT_AT_START && (int)MOXIE_CHAT_AT_TURN == (int)MX_CHAT_AT_TURN &&
                   (int)MOXIE_CHAT_AT_END == (int)MX_CHAT_AT_END &&
                   (int)MOXIE_CHAT_AT_ANSWER == (int)MX_CHAT_AT_ANSWER &&
                   (int)MOXIE_CHAT_AT_SYSTEM == (int)MX_CHAT_AT_SYSTEM &&
                   (int)MOXIE_CHAT_AT_QUESTION == (int)MX_CHAT_AT_QUESTION,
               "the public chat states are the internal ones");

static enum moxie_error no_tokenizer(struct moxie_failure *failure) {
    return mx_fail(failure, MOXIE_ERROR_TEXT, MX_NO_OFFSET, "the bundle has no tokenizer: it takes token ids only");
}

_Static_assert(MOXIE_ENCODE_SPECIALS == MX_ENCODE_SPECIALS && MOXIE_ENCODE_BEGIN == MX_ENCODE_BEGIN,
               "the public flags are the internal ones");

enum moxie_error moxie_encode(struct moxie *engine, const char *text, size_t bytes, unsigned flags, int32_t *ids,
                              size_t max, size_t *count, struct moxie_failure *failure) {
    if (!engine || (bytes && !text) || (max && !ids) || !count)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "moxie_encode: a pointer is NULL");
    if (!engine->tokenizer.header)
        return no_tokenizer(failure);
    return mx_encode(&engine->tokenizer, text, bytes, flags, engine->scratch, engine->scratch_bytes, ids, max, count,
                     failure);
}

enum moxie_error moxie_decode(const struct moxie *engine, struct moxie_text *state, int32_t token, char *text,
                              size_t max, size_t *bytes, struct moxie_failure *failure) {
    if (!engine || !state || !text || !bytes)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "moxie_decode: a pointer is NULL");
    if (!engine->tokenizer.header)
        return no_tokenizer(failure);
    if (token >= 0 && (uint32_t)token >= engine->bundle->manifest->model.vocab)
        return mx_fail(failure, MOXIE_ERROR_TOKEN, MX_NO_OFFSET, "token %d, the vocabulary has %u", token,
                       engine->bundle->manifest->model.vocab);
    return mx_detok_push((struct mx_detok *)state->opaque, &engine->tokenizer, token, text, max, bytes, failure);
}

int moxie_is_end(const struct moxie *engine, int32_t token) {
    const struct mx_model *m = engine ? &engine->bundle->manifest->model : NULL;
    for (uint32_t i = 0; m && i < m->eos_count; i++)
        if (token >= 0 && m->eos[i] == (uint32_t)token)
            return 1;
    return 0;
}

enum moxie_error moxie_chat_turn(struct moxie *engine, enum moxie_chat_at at, const char *role, const char *content,
                                 size_t bytes, int answer, int32_t *ids, size_t max, size_t *count,
                                 struct moxie_failure *failure) {
    if (!engine || !role || (bytes && !content) || (max && !ids) || !count)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "moxie_chat_turn: a pointer is NULL");
    if (!engine->tokenizer.header)
        return no_tokenizer(failure);
    return mx_chat_turn(&engine->tokenizer, engine->bundle->manifest->model.chat_template, (enum mx_chat_at)at, role,
                        content, bytes, answer != 0, engine->scratch, engine->scratch_bytes, ids, max, count, failure);
}

/* The caller's wishes over the bundle's defaults over "greedy, no filter". */
static struct mx_sample_options settle(const struct mx_generation *g, const struct moxie_sampling *s) {
    struct mx_sample_options o = {
        .temperature = s->temperature != 0 ? s->temperature
                       : !g->do_sample     ? 0
                                           : (g->temperature != 0 ? g->temperature : 1),
        .top_k = s->top_k ? s->top_k : g->top_k,
        .top_p = s->top_p != 0 ? s->top_p : g->top_p,
        .min_p = s->min_p != 0 ? s->min_p : g->min_p,
        .repetition_penalty = s->repetition_penalty != 0 ? s->repetition_penalty : g->repetition_penalty,
        .seed = s->seed,
        .allowed = s->allowed,
        .history = s->history,
        .history_count = s->history_count,
    };
    if (o.temperature < 0)
        o.temperature = 0;
    if (o.top_k == UINT32_MAX)
        o.top_k = 0;
    if (o.min_p < 0)
        o.min_p = 0;
    return o;
}

enum moxie_error moxie_sample(struct moxie *engine, uint32_t index, const struct moxie_sampling *sampling,
                              uint32_t position, int32_t *token, struct moxie_failure *failure) {
    static const struct moxie_sampling defaults = MOXIE_SAMPLING;
    if (!engine || !token)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "moxie_sample: a pointer is NULL");
    if (!sampling)
        sampling = &defaults;
    if (sampling->size != sizeof *sampling)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET, "moxie_sampling has size %u, this library knows %zu",
                       sampling->size, sizeof *sampling);
    const float *logits = moxie_logits(engine, index);
    if (!logits)
        return mx_fail(failure, MOXIE_ERROR_STATE, MX_NO_OFFSET, "row %u of logits, the last step made %u", index,
                       engine->rows);
    const struct mx_model *m = &engine->bundle->manifest->model;
    struct mx_sample_options options = settle(&m->generation, sampling);
    return mx_sample(logits, m->vocab, &options, position, engine->scratch, engine->scratch_bytes, token, failure);
}
