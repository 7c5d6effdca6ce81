/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // isatty
#include "tools/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/interrupt.h"
#include "tools/report.h"

struct sampling_args sampling_args(struct sampling_options *s, struct engine_options *o) {
    struct sampling_args all = {{
        {"--temperature", .kind = ARG_REAL, .out = &s->temperature, .value = "T", .max = 100,
         .help = "0: always the likeliest token (default: the model's own)"},
        {"--top-k", .kind = ARG_U32, .out = &s->top_k, .value = "K", .max = 1u << 24,
         .help = "choose among the K likeliest; 0: all"},
        {"--top-p", .kind = ARG_REAL, .out = &s->top_p, .value = "P", .min = 1e-6, .max = 1,
         .help = "choose among the likeliest whose sum is P; 1: all"},
        {"--min-p", .kind = ARG_REAL, .out = &s->min_p, .value = "P", .max = 1,
         .help = "drop what is less likely than P times the likeliest"},
        {"--repetition-penalty", .kind = ARG_REAL, .out = &s->repetition_penalty, .value = "R", .min = 0.01, .max = 100,
         .help = "1: none"},
        {"--seed", .kind = ARG_U64, .out = &s->seed, .value = "S",
         .help = "the same seed gives the same text (default 0)"},
        {"--max-tokens", .alias = "-n", .kind = ARG_U32, .out = &s->limit, .value = "N", .min = 1, .max = UINT32_MAX,
         .help = "write at most N tokens"},
    }};
    struct engine_args more = engine_args(o);
    for (size_t i = 0; i < sizeof(more.row) / sizeof(more.row[0]); i++) {
        all.row[7 + i] = more.row[i];
    }
    return all;
}

int sampling_check(const struct sampling_options *s) {
    return s->temperature > 0 && s->temperature < 1e-6f ? usage_error("--temperature is 0 or at least 1e-6")
                                                        : STATUS_OK;
}

/* The library's zero means "the model's default", the command line's means zero. */
static struct moxie_sampling to_library(const struct sampling_options *o) {
    struct moxie_sampling s = MOXIE_SAMPLING;
    s.temperature = o->temperature < 0 ? 0 : o->temperature == 0 ? -1 : o->temperature;
    s.top_k = o->top_k == UINT32_MAX ? 0 : o->top_k == 0 ? UINT32_MAX : o->top_k;
    s.top_p = o->top_p < 0 ? 0 : o->top_p;
    s.min_p = o->min_p < 0 ? 0 : o->min_p == 0 ? -1 : o->min_p;
    s.repetition_penalty = o->repetition_penalty < 0 ? 0 : o->repetition_penalty;
    s.seed = o->seed;
    return s;
}

bool writer_open(struct writer *w, struct engine *engine, const struct sampling_options *options) {
    *w = (struct writer){.engine = engine, .sampling = to_library(options), .since = seconds_of_start};
    w->ids = malloc(((size_t)engine->plan.context + 1) * sizeof(*w->ids));
    if (!w->ids) {
        report_tool("out of memory");
    }
    return w->ids != NULL;
}

void writer_close(struct writer *w) {
    free(w->ids);
    w->ids = NULL;
}

static bool print_token(struct writer *w, struct moxie_text *text, int32_t token, int *status) {
    struct moxie_failure failure = {0};
    static char bytes[3 * 65536]; // a token has at most 65535 bytes, and each may become U+FFFD
    size_t n = 0;
    if (w->print_ids) {
        if (token >= 0) {
            printf(w->written > 1 ? " %d" : "%d", token);
        }
    } else if (moxie_decode(w->engine->moxie, text, token, bytes, sizeof(bytes), &n, &failure) == MOXIE_OK) {
        print_foreign(bytes, n, isatty(STDOUT_FILENO));
    } else {
        *status = report_failure(&failure);
        return false;
    }
    *status = finish_output(STATUS_OK);
    return *status == STATUS_OK;
}

/* Appends to the sequence what is new in ids. */
static enum written read_new(struct writer *w, int *status) {
    struct moxie_failure failure = {0};
    struct moxie *moxie = w->engine->moxie;
    const uint32_t length = moxie_sequence_length(moxie, 0);
    // the experts of one step are known at a time
    const uint32_t most = w->experts ? w->engine->plan.step_tokens : w->count - length;
    enum moxie_error code = MOXIE_OK;
    for (uint32_t at = length; code == MOXIE_OK && at < w->count; at = moxie_sequence_length(moxie, 0)) {
        const uint32_t n = w->count - at < most ? w->count - at : most;
        code = moxie_prefill(moxie, 0, w->ids + at, n, &failure);
        if (code == MOXIE_OK && w->experts) {
            expert_map_add(w->experts, w->engine, n);
        }
    }
    if (code == MOXIE_OK) {
        if (w->logits) {
            digest_row(w->logits, moxie_logits(moxie, 0), w->engine->model.vocab);
            w->rows++;
        }
        return WRITTEN_GOING;
    }
    moxie_sequence_truncate(moxie, 0, length, NULL);
    *status = code == MOXIE_ERROR_CANCELLED ? STATUS_INTERRUPTED : report_failure(&failure);
    return code == MOXIE_ERROR_CANCELLED ? WRITTEN_INTERRUPTED : WRITTEN_FAILED;
}

/* Chooses the token that follows the last step, and prints it. */
static enum written choose(struct writer *w, struct moxie_text *text, uint32_t limit, int *status) {
    struct moxie_failure failure = {0};
    struct moxie *moxie = w->engine->moxie;
    int32_t token;
    w->sampling.history = w->ids;
    w->sampling.history_count = w->count;
    if (moxie_sample(moxie, 0, &w->sampling, w->count, &token, &failure) != MOXIE_OK) {
        *status = report_failure(&failure);
        return WRITTEN_FAILED;
    }
    w->ids[w->count++] = token;
    w->written++;
    bool end = moxie_is_end(moxie, token);
    if ((!end || w->print_ids) && !print_token(w, text, token, status)) {
        return WRITTEN_FAILED;
    }
    if (end) {
        return WRITTEN_END;
    }
    if (interrupt_pending()) {
        *status = STATUS_INTERRUPTED;
        return WRITTEN_INTERRUPTED;
    }
    return w->written == limit ? WRITTEN_LIMIT : moxie_sequence_room(moxie, 0) == 0 ? WRITTEN_FULL : WRITTEN_GOING;
}

enum written writer_run(struct writer *w, uint32_t limit, int *status) {
    struct moxie_text text = {{0}}, continued = MOXIE_TEXT_CONTINUED;
    text = w->continues ? continued : text;
    double began = seconds_now();
    *status = STATUS_OK;
    w->read = w->count - moxie_sequence_length(w->engine->moxie, 0);
    w->written = 0;
    enum written why = read_new(w, status);
    double read = seconds_now();
    w->read_s = read - began;
    w->first_s = read - (w->since > 0 ? w->since : began);
    w->since = 0;
    while (why == WRITTEN_GOING) {
        why = choose(w, &text, limit, status);
        if (why == WRITTEN_GOING) {
            why = read_new(w, status);
        }
    }
    w->written_s = seconds_now() - read;
    int flushed = STATUS_OK;
    if (why != WRITTEN_FAILED && w->written && !print_token(w, &text, -1, &flushed)) {
        *status = flushed;
        return WRITTEN_FAILED;
    }
    return why;
}

void writer_print_speed(const struct writer *w) {
    fprintf(stderr, "%u tokens read at %.1f/s, %u written at %.1f/s, the first after %.2f s\n", w->read,
            w->read / w->read_s, w->written, w->written_s > 0 ? w->written / w->written_s : 0, w->first_s);
}
