/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie bench: tokens per second, and how near that is to what the memory allows. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/bandwidth.h"
#include "tools/bench_bundle.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/report.h"
#include "tools/synthetic.h"

#define READ_PASSES 8

struct bench {
    struct engine engine;
    uint32_t prefill, decode, batch, chunk, repeat;
    int32_t *tokens;             /* (prefill) */
    struct moxie_entry *entries; /* (batch) */
    double prefill_s, decode_s;  /* of the fastest repetition */
    double raw_read;             /* bytes/s */
    double init_s;
};

static void forget(struct bench *b) {
    struct moxie_failure failure;
    for (uint32_t s = 0; s < b->batch; s++) {
        moxie_sequence_truncate(b->engine.moxie, s, 0, &failure);
    }
}

/* Every sequence reads `count` tokens. */
static int prefill(struct bench *b, uint32_t count) {
    struct moxie_failure failure = {0};
    for (uint32_t s = 0; s < b->batch; s++) {
        if (moxie_prefill(b->engine.moxie, s, b->tokens, count, &failure) != MOXIE_OK) {
            return report_failure(&failure);
        }
    }
    return STATUS_OK;
}

/* Every sequence writes `count` tokens, the likeliest each time. */
static int decode(struct bench *b, uint32_t count) {
    struct moxie_failure failure = {0};
    struct moxie_sampling greedy = MOXIE_SAMPLING;
    greedy.temperature = -1;
    greedy.repetition_penalty = 1;
    for (uint32_t s = 0; s < b->batch; s++) {
        b->entries[s] = (struct moxie_entry){.sequence = s, .token = b->tokens[s % b->prefill], .want_logits = 1};
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t s = 0; s < b->batch; s++) {
            b->entries[s].position = moxie_sequence_length(b->engine.moxie, s);
        }
        enum moxie_error code = moxie_step(b->engine.moxie, b->entries, b->batch, &failure);
        for (uint32_t s = 0; code == MOXIE_OK && s < b->batch; s++) {
            code =
                moxie_sample(b->engine.moxie, s, &greedy, b->entries[s].position + 1, &b->entries[s].token, &failure);
        }
        if (code != MOXIE_OK) {
            return report_failure(&failure);
        }
        if (interrupt_pending()) {
            return STATUS_INTERRUPTED;
        }
    }
    return STATUS_OK;
}

/* One repetition; keeps its times when they are the best. */
static int measure(struct bench *b) {
    double began = seconds_now();
    int status = prefill(b, b->prefill);
    double read = seconds_now();
    status = status == STATUS_OK ? decode(b, b->decode) : status;
    double written = seconds_now();
    forget(b);
    if (status == STATUS_OK) {
        b->prefill_s = b->prefill_s == 0 || read - began < b->prefill_s ? read - began : b->prefill_s;
        b->decode_s = b->decode_s == 0 || written - read < b->decode_s ? written - read : b->decode_s;
    }
    return status;
}

/* A driver may compile for a size when it is first met: a chunk and two tokens go before what is measured. */
static int warm_up(struct bench *b) {
    uint32_t chunk = b->engine.plan.step_tokens < b->prefill ? b->engine.plan.step_tokens : b->prefill;
    int status = prefill(b, chunk);
    status = status == STATUS_OK ? decode(b, b->decode < 2 ? b->decode : 2) : status;
    forget(b);
    return status;
}

static int print(const struct bench *b, const char *bundle, uint32_t threads, bool json) {
    const struct moxie_plan *p = &b->engine.plan;
    double prefill_rate = (double)b->prefill * b->batch / b->prefill_s;
    double decode_rate = (double)b->decode * b->batch / b->decode_s;
    double share = b->raw_read > 0 ? decode_rate * (double)p->bytes_per_token / b->raw_read : 0;
    if (json) {
        json_t *object = json_pack(
            "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:f, s:f, s:I, s:I, s:f}", "bundle",
            bundle, "model", b->engine.model.id, "device", b->engine.facts.name, "driver", b->engine.facts.driver,
            "dot", (json_int_t)b->engine.facts.dot, "threads", (json_int_t)threads, "context", (json_int_t)p->context,
            "batch", (json_int_t)b->batch, "prefill_tokens", (json_int_t)b->prefill, "decode_tokens",
            (json_int_t)b->decode, "prefill_tokens_per_s", prefill_rate, "decode_tokens_per_s", decode_rate,
            "bytes_per_decoded_token", (json_int_t)p->bytes_per_token, "kv_bytes_per_token",
            (json_int_t)p->kv_bytes_per_token, "decode_bytes_per_s", decode_rate * (double)p->bytes_per_token,
            "raw_read_bytes_per_s", b->raw_read, "weight_bytes", (json_int_t)p->weight_bytes, "launches_per_step",
            (json_int_t)p->enqueues, "init_seconds", b->init_s);
        // several sequences share what they read, so only one alone can be compared
        json_object_set_new(object, "share_of_raw_read", b->batch == 1 ? json_real(share) : json_null());
        return json_print(object);
    }
    printf("%s on %s, driver %s\n", b->engine.model.id, b->engine.facts.name, b->engine.facts.driver);
    printf("  prefill  %8.1f tokens/s   (%u tokens, %u sequence%s)\n", prefill_rate, b->prefill, b->batch,
           b->batch == 1 ? "" : "s");
    printf("  decode   %8.1f tokens/s   (%u tokens)\n", decode_rate, b->decode);
    printf("  a decoded token reads %.3f GB of weights", (double)p->bytes_per_token / 1e9);
    if (b->batch == 1) {
        printf(": %.1f GB/s", decode_rate * (double)p->bytes_per_token / 1e9);
    }
    printf("\n  raw read %8.1f GB/s", b->raw_read / 1e9);
    if (b->batch == 1) {
        printf("; decoding reaches %.0f %% of it", share * 100);
    }
    printf("\n  start    %8.2f s, of that the weights' verification\n", b->init_s);
    return finish_output(STATUS_OK);
}

static int run(struct bench *b, const struct engine_options *options, bool json) {
    struct moxie_config config = MOXIE_CONFIG;
    uint32_t need = b->prefill + b->decode;
    uint32_t context = options->context ? options->context : need;
    if (context < need) {
        return usage_error("--context: %u positions do not hold %u tokens", context, need);
    }
    config.context = context;
    config.sequences = b->batch;
    config.step_tokens = b->chunk;
    config.step_logits = b->batch;
    double began = seconds_now();
    int status = engine_start(&b->engine, options, &config);
    b->init_s = seconds_now() - began;
    if (status != STATUS_OK) {
        return status;
    }
    b->tokens = malloc(sizeof(*b->tokens) * b->prefill);
    b->entries = malloc(sizeof(*b->entries) * b->batch);
    if (!b->tokens || !b->entries) {
        return report_tool("out of memory");
    }
    for (uint32_t i = 0; i < b->prefill; i++) {
        b->tokens[i] = (int32_t)((i + 1) * 2654435761u % b->engine.model.vocab);
    }
    double before = bandwidth_read(options->threads, READ_PASSES);
    status = warm_up(b);
    for (uint32_t i = 0; status == STATUS_OK && i < b->repeat; i++) {
        status = measure(b);
    }
    double after = bandwidth_read(options->threads, READ_PASSES);
    b->raw_read = before > after ? before : after;
    return status == STATUS_OK ? print(b, options->bundle, options->threads, json) : status;
}

int cmd_bench(int argc, char **argv) {
    struct bench b = {.prefill = 512, .decode = 64, .batch = 1, .repeat = 1};
    struct engine_options options = {0};
    static const char *const groups[] = {"32", "64", "128", NULL};
    uint32_t shape = UINT32_MAX, group = 0;
    const char *keep = NULL;
    bool json = false;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE_OPTIONAL, .out = &options.bundle, .help = "a file made by moxie pack, or:"},
        {"--shape", .kind = ARG_CHOICE, .out = &shape, .value = "SHAPE", .choices = synthetic_shapes,
         .help = "a published shape with pseudo-random Int4 weights"},
        {"--group", .kind = ARG_CHOICE, .out = &group, .value = "N", .choices = groups,
         .help = "weights of --shape that share a scale: 32 (default), 64, 128"},
        {"--keep", .kind = ARG_TEXT, .out = &keep, .value = "FILE",
         .help = "keep the bundle of --shape there, signed with the store's key"},
        {"--prefill", .kind = ARG_U32, .out = &b.prefill, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens to read (default 512)"},
        {"--decode", .kind = ARG_U32, .out = &b.decode, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens to write (default 64)"},
        {"--batch", .kind = ARG_U32, .out = &b.batch, .value = "N", .min = 1, .max = 256,
         .help = "sequences at once (default 1)"},
        {"--chunk", .kind = ARG_U32, .out = &b.chunk, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens of one step (default: 512 or the context)"},
        {"--repeat", .kind = ARG_U32, .out = &b.repeat, .value = "N", .min = 1, .max = 1000,
         .help = "measure N times and tell the best (default 1)"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print a JSON object"},
        {.kind = ARG_END},
    };
    struct engine_args shared = engine_args(&options);
    const struct args args = {
        .summary = "Measures prefill and decode, and in the same run how fast this machine reads memory.",
        .details =
            "Shapes: qwen1.5-moe-a2.7b, qwen2-57b-a14b, qwen1.5-7b, mixtral-8x7b, deepseek-moe-16b, qwen3-30b-a3b,\n"
            "smollm2-135m, tiny. A bundle is made of them in memory where there is room for two, else in the cache.",
        .example = "    moxie bench --shape qwen1.5-moe-a2.7b --prefill 512 --decode 64 --threads 2 --json",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (!options.bundle == (shape == UINT32_MAX)) {
        return usage_error("give a BUNDLE or --shape, one of the two");
    }
    if (options.bundle && group) {
        return usage_error("--group is for --shape: a BUNDLE has its own");
    }
    interrupt_install();
    if (options.bundle) {
        status = engine_open_bundle(&b.engine, options.bundle, options.pub);
    } else {
        status = bench_bundle_open(&b.engine, shape, 32u << group, keep);
        options.bundle = synthetic_shapes[shape];
    }
    if (status == STATUS_OK) {
        status = run(&b, &options, json);
    }
    engine_close(&b.engine);
    free(b.tokens);
    free(b.entries);
    return status;
}
