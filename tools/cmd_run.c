/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie run: continues a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/generate.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/report.h"
#include "tools/svg.h"

#define DEFAULT_TOKENS 256

/* The tokens of `text` into w->ids. */
static int encode(struct writer *w, const char *text, size_t bytes, bool specials) {
    struct moxie_failure failure = {0};
    unsigned flags = MOXIE_ENCODE_BEGIN | (specials ? MOXIE_ENCODE_SPECIALS : 0);
    uint32_t context = w->engine->plan.context;
    size_t count = 0;
    enum moxie_error code = moxie_encode(w->engine->moxie, text, bytes, flags, w->ids, context, &count, &failure);
    if (code == MOXIE_ERROR_BUFFER_SMALL || (code == MOXIE_OK && count > context)) {
        return report_error(MOXIE_ERROR_CONTEXT_FULL, "the text has %zu tokens, the context %u (see --context)", count,
                            context);
    }
    if (code != MOXIE_OK) {
        return report_failure(&failure);
    }
    if (!count) {
        return report_error(MOXIE_ERROR_TEXT, "the text is empty: there is nothing to continue");
    }
    w->count = (uint32_t)count;
    return STATUS_OK;
}

/* What the options of this command say. */
struct wishes {
    const char *prompt;
    const char *experts; // a file for the heat map, or NULL
    bool specials, ids, stats, fingerprint;
};

static int run(struct engine *e, const struct wishes *o, const struct sampling_options *sampling,
               struct out_file *picture) {
    struct writer w;
    struct digest digest;
    struct expert_map map = {0};
    char hex[65];
    int status = STATUS_FAILED;
    size_t bytes = strlen(o->prompt);
    char *read = strcmp(o->prompt, "-") == 0 ? input_read(o->prompt, &bytes, &status) : NULL;
    if (strcmp(o->prompt, "-") == 0 && !read) {
        return status;
    }
    if (!writer_open(&w, e, sampling)) {
        free(read);
        return STATUS_FAILED;
    }
    digest_begin(&digest);
    w.logits = o->fingerprint ? &digest : NULL;
    w.print_ids = o->ids;
    w.continues = true;
    w.experts = o->experts ? &map : NULL;
    status = o->experts ? expert_map_open(&map, e) : STATUS_OK;
    status = status ? status : encode(&w, read ? read : o->prompt, bytes, o->specials);
    if (status == STATUS_OK) {
        enum written why = writer_run(&w, sampling->limit, &status);
        if (w.written) {
            putchar('\n');
        }
        if (why == WRITTEN_FULL) {
            report_note("stopped: the context of %u tokens is full (see --context)", e->plan.context);
        }
        if (o->stats && w.read_s > 0) {
            writer_print_speed(&w);
        }
        status = why == WRITTEN_FAILED ? status : finish_output(status); // a failed output was told there
        if (status == STATUS_OK && o->experts) {
            status = expert_map_write(&map, e, picture);
        }
    }
    expert_map_close(&map);
    digest_end(&digest, hex);
    if (o->fingerprint) {
        fprintf(stderr, "SHA-256 of the logits of %u tokens: %s\n", w.rows, hex);
    }
    writer_close(&w);
    free(read);
    return status;
}

int cmd_run(int argc, char **argv) {
    struct engine_options options = {0};
    struct sampling_options sampling = SAMPLING_UNSET;
    sampling.limit = DEFAULT_TOKENS;
    struct wishes wishes = {.prompt = NULL};
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE, .out = &options.bundle, .help = "a file made by moxie pack"},
        {"--prompt", .alias = "-p", .kind = ARG_TEXT, .out = &wishes.prompt, .value = "TEXT", .required = true,
         .help = "what to continue; - reads standard input"},
        {"--ids", .kind = ARG_FLAG, .out = &wishes.ids, .help = "print token ids, the end token too, instead of text"},
        {"--specials", .kind = ARG_FLAG, .out = &wishes.specials,
         .help = "recognise control tokens such as <|im_end|> in TEXT"},
        {"--stats", .kind = ARG_FLAG, .out = &wishes.stats, .help = "tell tokens per second"},
        {"--fingerprint", .kind = ARG_FLAG, .out = &wishes.fingerprint,
         .help = "tell the SHA-256 of the logits that the tokens were chosen from"},
        {"--experts", .kind = ARG_TEXT, .out = &wishes.experts, .value = "FILE.svg",
         .help = "draw which experts the tokens took"},
        {.kind = ARG_END},
    };
    struct sampling_args shared = sampling_args(&sampling, &options);
    const struct args args = {
        .summary = "Prints how the model goes on after TEXT, at most 256 tokens unless -n says otherwise.",
        .example = "    moxie run smollm2.moxie -p \"The capital of France is\" -n 8 --temperature 0",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    status = sampling_check(&sampling);
    if (status != STATUS_OK) {
        return status;
    }
    if (wishes.experts && path_same(wishes.experts, options.bundle)) {
        return usage_error("--experts %s is the bundle itself", wishes.experts);
    }
    struct out_file picture = {0};
    if (wishes.experts && svg_open(&picture, wishes.experts) != STATUS_OK) { // told now and not after the text
        return STATUS_FAILED;
    }
    interrupt_install();
    struct engine engine;
    struct moxie_config config = MOXIE_CONFIG;
    config.experts = wishes.experts != NULL;
    status = engine_open(&engine, &options, &config);
    if (status == STATUS_OK) {
        status = run(&engine, &wishes, &sampling, &picture);
    }
    out_file_discard(&picture);
    engine_close(&engine);
    return status;
}
