/* SPDX-License-Identifier: Apache-2.0
 *
 * Letting a model write: sequence 0 of an engine, and the tokens that it holds. */
#ifndef TOOL_GENERATE_H
#define TOOL_GENERATE_H

#include "tools/args.h"
#include "tools/digest.h"
#include "tools/engine.h"
#include "tools/expert_map.h"

/* Options of sampling, as on the command line; negative or UNSET = the bundle's own default. */
struct sampling_options {
    float temperature, top_p, min_p, repetition_penalty;
    uint32_t top_k, limit;
    uint64_t seed;
};
#define SAMPLING_UNSET                                                                                                 \
    (struct sampling_options) {                                                                                        \
        -1, -1, -1, -1, UINT32_MAX, 0, 0                                                                               \
    }
struct sampling_args {
    struct arg row[15]; /* those of engine_args too */
};

/* STATUS_OK, or what cannot be asked of them, reported. */
int sampling_check(const struct sampling_options *s);

struct sampling_args sampling_args(struct sampling_options *s, struct engine_options *o);

/* Zero but for `ids`; the tokens ids[0 … count) are in the sequence, or will be after the next writing. The last token
 * that the model chose is not in the sequence yet: it goes in front of what comes next. */
struct writer {
    struct engine *engine;
    struct moxie_sampling sampling;
    int32_t *ids; /* (context + 1) */
    uint32_t count;
    bool print_ids;             /* decimal ids instead of text */
    bool continues;             /* what is written goes on the text before it */
    uint32_t read, written;     /* tokens of the last writing: prefilled, chosen */
    double read_s, written_s;   /* their time in seconds */
    double first_s;             /* until the first token: of the program the first time, then of writer_run */
    double since;               /* what first_s counts from; 0: now */
    struct expert_map *experts; /* counts what each step takes; NULL: nobody wants to know */
    struct digest *logits;      /* of the rows that tokens are chosen from; NULL: none is made */
    uint32_t rows;              /* in it */
};

enum written {
    WRITTEN_GOING,       /* never a result of writer_run */
    WRITTEN_END,         /* the model ended its answer */
    WRITTEN_LIMIT,       /* as many tokens as were asked for */
    WRITTEN_FULL,        /* no room is left in the context */
    WRITTEN_INTERRUPTED, /* Ctrl-C */
    WRITTEN_FAILED,      /* reported; *status is the exit status */
};

/* False: out of memory, reported. */
bool writer_open(struct writer *w, struct engine *engine, const struct sampling_options *options);
void writer_close(struct writer *w);

/* Reads what is new in ids, then chooses tokens until something ends it (`limit` 0: nothing but the context), prints
 * each as soon as its characters are complete. When nothing was read, because of an interrupt or a failure, the
 * sequence is as it was and ids are left to the caller. */
enum written writer_run(struct writer *w, uint32_t limit, int *status);

/* "12 tokens read at 300.1/s, 30 written at 40.2/s, the first after 0.30 s" to standard error. */
void writer_print_speed(const struct writer *w);

#endif
