/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie bench: tokens per second, and how near that is to what the memory allows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/bandwidth.h"
#include "tools/bench_bundle.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/int8_peak.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/launch_report.h"
#include "tools/memory_use.h"
#include "tools/report.h"
#include "tools/synthetic.h"

#define READ_PASSES 4
#define PROFILE_STEPS 8 /* of decoding, after as many that only warm up */

struct bench {
    struct engine engine;
    uint32_t prefill, decode, batch, chunk, repeat, threads;
    int32_t *tokens;             /* (prefill) */
    struct moxie_entry *entries; /* (batch) */
    double prefill_s, decode_s;  /* of the fastest repetition */
    double decode_bytes;         /* that its steps had to read */
    double raw_read;             /* bytes/s, before and after it */
    double raw_now, int8_peak, init_s;
    uint64_t planned, held, anonymous; /* bytes beside the weights: the plan's, of them in memory, of the process */
    uint64_t large_pages;              /* bytes of mapped files that lie in them */
    uint32_t enqueues;                 /* of a step, before kernels are measured one by one */
    bool kernels;
    const char *trace;
    struct launch_report reading, writing; /* of prefill and decode, launch by launch */
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

/* Every sequence writes `count` tokens. The likeliest is chosen each time, but another is written: with pseudo-random
 * weights all sequences would soon say the same and take the same experts. *bytes: what the steps had to read. */
static int decode(struct bench *b, uint32_t count, struct launch_report *report, double *bytes) {
    struct moxie_failure failure = {0};
    *bytes = 0;
    struct moxie_sampling greedy = MOXIE_SAMPLING;
    greedy.temperature = -1;
    greedy.repetition_penalty = 1;
    for (uint32_t s = 0; s < b->batch; s++) {
        b->entries[s] = (struct moxie_entry){.sequence = s, .token = b->tokens[s % b->prefill], .want_logits = 1};
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t s = 0; s < b->batch; s++) {
            b->entries[s].position = moxie_sequence_length(b->engine.moxie, s);
            b->entries[s].token = (int32_t)((i * b->batch + s + 1) * 2246822519u % b->engine.model.vocab);
        }
        if (report && !launch_report_step(report, b->engine.plan.launches)) {
            return report_tool("out of memory");
        }
        enum moxie_error code = moxie_step(b->engine.moxie, b->entries, b->batch, &failure);
        *bytes += (double)moxie_step_bytes(b->engine.moxie);
        if (report) {
            launch_report_end(report);
        }
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
    double bytes, began = seconds_now();
    int status = prefill(b, b->prefill);
    double read = seconds_now();
    status = status == STATUS_OK ? decode(b, b->decode, NULL, &bytes) : status;
    double written = seconds_now(), before = b->raw_now;
    forget(b);
    b->raw_now = bandwidth_read(b->threads, READ_PASSES);
    if (status == STATUS_OK) {
        b->prefill_s = b->prefill_s == 0 || read - began < b->prefill_s ? read - began : b->prefill_s;
    }
    if (status == STATUS_OK && (b->decode_s == 0 || written - read < b->decode_s)) {
        b->decode_s = written - read;
        b->decode_bytes = bytes;
        b->raw_read = (before + b->raw_now) / 2;
    }
    return status;
}

/* A driver may compile for a size when it is first met: a chunk and two tokens go before what is measured. */
static int warm_up(struct bench *b) {
    uint32_t chunk = b->engine.plan.step_tokens < b->prefill ? b->engine.plan.step_tokens : b->prefill;
    int status = prefill(b, chunk);
    double bytes;
    status = status == STATUS_OK ? decode(b, b->decode < 2 ? b->decode : 2, NULL, &bytes) : status;
    forget(b);
    return status;
}

/* The engine is the start of the one mapping that has all regions. A device with memory of its own has SESSION and STEP
 * there. */
static void look_at_memory(struct bench *b) {
    const struct moxie_plan *p = &b->engine.plan;
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        b->planned += i == MOXIE_REGION_HOST || b->engine.facts.host_unified ? p->region_bytes[i] : 0;
    }
    b->held = memory_resident(b->engine.moxie, b->planned);
    b->anonymous = memory_anonymous();
    b->large_pages = memory_large_pages();
}

/* The greatest of several moments: on a machine that others use, one alone may be less than what kernels reached. */
static void measure_peak(struct bench *b) {
    double peak = int8_peak(b->threads, READ_PASSES);
    b->int8_peak = peak > b->int8_peak ? peak : b->int8_peak;
}

static void on_launch(void *user, const struct moxie_launch *launch) {
    launch_report_add(*(struct launch_report **)user, launch);
}

/* The same again on an engine that is measured launch by launch. */
static int profile(struct bench *b, const struct engine_options *options, struct moxie_config *config) {
    struct launch_report ignored = {.kinds = 0}, *now = &ignored;
    double bytes;
    moxie_close(b->engine.moxie);
    b->engine.moxie = NULL;
    b->engine.launch = on_launch;
    b->engine.launch_user = &now;
    config->no_verify = 1; // the engine before it has verified these very bytes
    int status = engine_start(&b->engine, options, config);
    if (status == STATUS_OK) {
        status = warm_up(b);
    }
    now = &b->reading;
    if (status == STATUS_OK && !launch_report_step(now, b->engine.plan.launches)) {
        status = report_tool("out of memory");
    }
    measure_peak(b);
    status = status == STATUS_OK ? prefill(b, b->prefill) : status;
    launch_report_end(now); // all of prefill as one step
    measure_peak(b);
    now = &b->writing;
    uint32_t steps = b->decode < PROFILE_STEPS ? b->decode : PROFILE_STEPS;
    status = status == STATUS_OK ? decode(b, steps, now, &bytes) : status;
    measure_peak(b);
    return status;
}

static json_t *json_of(const struct bench *b, const char *bundle) {
    const struct moxie_plan *p = &b->engine.plan;
    double per_s = b->decode_bytes / b->decode_s;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:f, s:f, s:I, s:I, s:f, s:f, s:f, "
        "s:I, s:I, s:I, s:I}",
        "bundle", json_path(bundle), "model", b->engine.model.id, "device", b->engine.facts.name, "driver",
        b->engine.facts.driver, "dot", (json_int_t)b->engine.facts.dot, "threads", (json_int_t)b->threads, "context",
        (json_int_t)p->context, "batch", (json_int_t)b->batch, "prefill_tokens", (json_int_t)b->prefill,
        "decode_tokens", (json_int_t)b->decode, "prefill_tokens_per_s", (double)b->prefill * b->batch / b->prefill_s,
        "decode_tokens_per_s", (double)b->decode * b->batch / b->decode_s, "bytes_per_decoded_token",
        (json_int_t)p->bytes_per_token, "kv_bytes_per_token", (json_int_t)p->kv_bytes_per_token, "decode_bytes_per_s",
        per_s, "raw_read_bytes_per_s", b->raw_read, "weight_bytes", (json_int_t)p->weight_bytes, "launches_per_step",
        (json_int_t)b->enqueues, "init_seconds", b->init_s, "share_of_raw_read",
        b->raw_read > 0 ? per_s / b->raw_read : 0, "bytes_per_step", b->decode_bytes / b->decode,
        "memory_planned_bytes", (json_int_t)b->planned, "memory_held_bytes", (json_int_t)b->held,
        "memory_of_process_bytes", (json_int_t)b->anonymous, "large_page_bytes", (json_int_t)b->large_pages);
    if (object && b->kernels) {
        json_object_set_new(object, "int8_operations_per_s", json_real(b->int8_peak));
        json_object_set_new(object, "prefill_kernels", launch_report_json(&b->reading, b->raw_read, b->int8_peak));
        json_object_set_new(object, "decode_kernels", launch_report_json(&b->writing, b->raw_read, b->int8_peak));
    }
    return object;
}

static int print(const struct bench *b) {
    const struct moxie_plan *p = &b->engine.plan;
    double per_s = b->decode_bytes / b->decode_s;
    printf("%s on %s, driver %s\n", b->engine.model.id, b->engine.facts.name, b->engine.facts.driver);
    printf("  prefill  %8.1f tokens/s   (%u tokens, %u sequence%s)\n", (double)b->prefill * b->batch / b->prefill_s,
           b->prefill, b->batch, b->batch == 1 ? "" : "s");
    printf("  decode   %8.1f tokens/s   (%u tokens)\n", (double)b->decode * b->batch / b->decode_s, b->decode);
    printf("  a step of decoding reads %.3f GB of weights, keys and values: %.1f GB/s\n",
           b->decode_bytes / b->decode * 1e-9, per_s * 1e-9);
    printf("  raw read %8.1f GB/s; decoding reaches %.0f %% of it\n", b->raw_read / 1e9,
           b->raw_read > 0 ? 100 * per_s / b->raw_read : 0);
    printf("  start    %8.2f s, of that the weights' verification\n", b->init_s);
    printf("  memory   %8.1f MB planned beside the weights, %.1f MB held", (double)b->planned * 1e-6,
           (double)b->held * 1e-6);
    if (b->anonymous) {
        printf("; with driver and tool the process has %.1f MB", (double)b->anonymous * 1e-6);
    }
    printf("\n  pages    %8.0f %% of the weights lie in large ones\n",
           100 * fmin(1, (double)b->large_pages / (double)p->weight_bytes));
    if (b->kernels) {
        printf("\nint8 peak %.1f GOP/s. Kernels launched one by one, each measured by the driver:\n",
               b->int8_peak * 1e-9);
        launch_report_print(&b->reading, "prefill", b->raw_read, b->int8_peak);
        launch_report_print(&b->writing, "a step of decoding", b->raw_read, b->int8_peak);
        printf("\nThe same step in %u launch%s, not measured one by one: %.1f us\n", b->enqueues,
               b->enqueues == 1 ? "" : "es", b->decode_s * 1e6 / b->decode);
    }
    return finish_output(STATUS_OK);
}

static int run(struct bench *b, const struct engine_options *options, bool json) {
    struct moxie_config config = MOXIE_CONFIG;
    uint32_t need = b->prefill + b->decode;
    config.context = options->context ? options->context : need;
    config.sequences = b->batch;
    config.step_tokens = b->chunk;
    config.step_logits = b->batch;
    b->threads = options->threads;
    double began = seconds_now();
    int status = engine_start(&b->engine, options, &config);
    b->init_s = seconds_now() - began;
    if (status != STATUS_OK) {
        return status;
    }
    b->enqueues = b->engine.plan.enqueues;
    b->tokens = malloc(sizeof(*b->tokens) * b->prefill);
    b->entries = malloc(sizeof(*b->entries) * b->batch);
    if (!b->tokens || !b->entries) {
        return report_tool("out of memory");
    }
    for (uint32_t i = 0; i < b->prefill; i++) {
        b->tokens[i] = (int32_t)((i + 1) * 2654435761u % b->engine.model.vocab);
    }
    status = warm_up(b);
    b->raw_now = bandwidth_read(b->threads, READ_PASSES);
    for (uint32_t i = 0; status == STATUS_OK && i < b->repeat; i++) {
        status = measure(b);
    }
    look_at_memory(b);
    if (status == STATUS_OK && b->kernels) {
        status = profile(b, options, &config);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = json ? json_print(json_of(b, options->bundle)) : print(b);
    const int traced = b->trace ? launch_report_trace(&b->writing, b->trace) : STATUS_OK;
    return status == STATUS_OK ? traced : status;
}

int cmd_bench(int argc, char **argv) {
    struct bench b = {.prefill = 512, .decode = 64, .batch = 1, .repeat = 1};
    struct engine_options options = {0};
    struct bench_shape shape = {.shape = UINT32_MAX};
    bool json = false;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE_OPTIONAL, .out = &options.bundle, .help = "a file made by moxie pack, or:"},
        {"--shape", .kind = ARG_CHOICE, .out = &shape.shape, .value = "SHAPE", .choices = synthetic_shapes,
         .help = "a published shape with pseudo-random Int4 weights"},
        BENCH_SHAPE_OPTIONS(&shape),
        {"--keep", .kind = ARG_TEXT, .out = &shape.keep, .value = "FILE",
         .help = "keep the bundle of --shape there, signed with the store's key"},
        {"--keep-gguf", .kind = ARG_TEXT, .out = &shape.gguf, .value = "FILE",
         .help = "write the weights of --shape there as a GGUF file too (groups of 32)"},
        {"--prefill", .kind = ARG_U32, .out = &b.prefill, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens to read (default 512)"},
        {"--decode", .kind = ARG_U32, .out = &b.decode, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens to write (default 64)"},
        {"--batch", .kind = ARG_U32, .out = &b.batch, .value = "N", .min = 1, .max = 256,
         .help = "sequences at once (default 1)"},
        {"--chunk", .kind = ARG_U32, .out = &b.chunk, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens of one step (default: 256 or the context)"},
        {"--repeat", .kind = ARG_U32, .out = &b.repeat, .value = "N", .min = 1, .max = 1000,
         .help = "measure N times and tell the best (default 1)"},
        {"--kernels", .kind = ARG_FLAG, .out = &b.kernels,
         .help = "also measure each kernel: bytes, operations, time, share of the machine's peaks"},
        {"--trace", .kind = ARG_TEXT, .out = &b.trace, .value = "FILE",
         .help = "write the timeline of a step of decoding, for chrome://tracing; implies --kernels"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print a JSON object"},
        {.kind = ARG_END},
    };
    struct engine_args shared = engine_args(&options);
    const struct args args = {
        .summary = "Measures prefill and decode, and in the same run how fast this machine reads memory.",
        .details =
            "Shapes: qwen1.5-moe-a2.7b, qwen2-57b-a14b, qwen1.5-7b, mixtral-8x7b, deepseek-moe-16b, qwen3-30b-a3b,\n"
            "moe++-7b, moe++-7b-vanilla, smollm2-135m, tiny. A bundle is made of them in memory where there is room "
            "for two,\n"
            "else in the cache.",
        .example = "    moxie bench --shape qwen1.5-moe-a2.7b --prefill 512 --decode 64 --threads 2 --json",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    status = bench_shape_check(&shape, options.bundle);
    if (status != STATUS_OK) {
        return status;
    }
    if (shape.gguf && (options.bundle || shape.group_choice)) {
        return usage_error("--keep-gguf is for --shape with groups of 32");
    }
    if (options.pub && !options.bundle) {
        return usage_error("--pub is for a BUNDLE");
    }
    // before weights are made
    status = tune_parse(&options.tune);
    if (status != STATUS_OK) {
        return status;
    }
    if (options.context && options.context < b.prefill + b.decode) {
        return usage_error("--context: %u positions do not hold %u tokens", options.context, b.prefill + b.decode);
    }
    b.kernels = b.kernels || b.trace;
    interrupt_install();
    if (options.bundle) {
        status = engine_open_bundle(&b.engine, options.bundle, options.pub);
    } else {
        status = bench_bundle_open(&b.engine, &shape);
        options.bundle = synthetic_shapes[shape.shape];
    }
    if (status == STATUS_OK) {
        status = run(&b, &options, json);
    }
    engine_close(&b.engine);
    launch_report_free(&b.reading);
    launch_report_free(&b.writing);
    free(b.tokens);
    free(b.entries);
    return status;
}
