/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie pack: from a checkpoint to a signed bundle. */
#include <stdio.h>

#include "pack/pack.h"
#include "tools/args.h"
#include "tools/commands.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/signing.h"
#include "tools/tables.h"

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "packing", done, total);
    return interrupt_pending();
}

static void print_kinds(const struct pk_summary *s) {
    printf("  %-12s %-7s %5s %9s %14s %14s  %s\n", "matrices", "type", "group", "number", "parameters", "bytes",
           "relative error");
    for (uint32_t i = 0; i < s->kinds; i++) {
        const struct pk_kind *k = &s->kind[i];
        char error[32] = "exact";
        if (k->error > 0) {
            snprintf(error, sizeof(error), "%.4f", k->error);
        }
        printf("  %-12s %-7s %5u %9u %14llu %14llu  %s\n", role_name(k->role), format_name(k->format), k->group,
               k->matrices, (unsigned long long)k->parameters, (unsigned long long)k->bytes, error);
    }
}

static void print_summary(const struct pk_summary *s, const char *output) {
    printf("%s: %s (%s), %u layers, %llu parameters in matrices\n", output, s->model, s->architecture, s->layers,
           (unsigned long long)s->parameters);
    print_kinds(s);
    if (s->widened) {
        printf("  %llu matrices are in a larger format than asked for: parts of one tensor differ\n",
               (unsigned long long)s->widened);
    }
    if (s->flushed) {
        printf("  %llu values below 2^-40 in magnitude became 0\n", (unsigned long long)s->flushed);
    }
    printf("  tokenizer: %s; chat template: %s; licence text: %s\n", s->tokenizer ? "yes" : "no",
           chat_template_name(s->chat_template), s->license ? "yes" : "no");
    printf("  %llu bytes in %u segments, signed by key %.16s...\n", (unsigned long long)s->bundle_bytes, s->segments,
           s->key_id);
}

static int print_json(const struct pk_summary *s, const char *output) {
    json_t *kinds = json_array();
    for (uint32_t i = 0; i < s->kinds; i++) {
        const struct pk_kind *k = &s->kind[i];
        json_array_append_new(kinds, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "matrix", role_name(k->role),
                                               "type", format_name(k->format), "group", (json_int_t)k->group, "number",
                                               (json_int_t)k->matrices, "parameters", (json_int_t)k->parameters,
                                               "bytes", (json_int_t)k->bytes, "relative_error", k->error));
    }
    return json_print(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:o}", "bundle", output,
                                "model", s->model, "architecture", s->architecture, "key_id", s->key_id, "parameters",
                                (json_int_t)s->parameters, "bytes", (json_int_t)s->bundle_bytes, "weight_bytes",
                                (json_int_t)s->weight_bytes, "segments", (json_int_t)s->segments, "tokenizer",
                                (int)s->tokenizer, "chat_template", chat_template_name(s->chat_template), "flushed",
                                (json_int_t)s->flushed, "widened", (json_int_t)s->widened, "matrices", kinds));
}

static int pack(struct pk_pack_options options, const char *key_path, bool json) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct progress progress = {0};
    struct pk_key key = {{0}, {0}};
    int status = signing_key_read(&key, key_path);
    if (status != STATUS_OK) {
        return status;
    }
    options.key = &key;
    bool ok = pk_pack(&options, on_progress, &progress, &summary, &e);
    pk_key_wipe(&key);
    progress_end(&progress);
    if (!ok) {
        return report_error(e.code, "%s", e.text);
    }
    if (json) {
        return print_json(&summary, options.output);
    }
    print_summary(&summary, options.output);
    return finish_output(STATUS_OK);
}

int cmd_pack(int argc, char **argv) {
    static const char *const weights[] = {"keep", "int4", "int8", "bf16", "f16", "f32", NULL}; // as enum pk_weights
    static const char *const groups[] = {"32", "64", "128", NULL};
    struct pk_pack_options options = {0};
    uint32_t kind = PK_WEIGHTS_KEEP, group = 0, threads = 0, counter = 0;
    const char *key = NULL;
    bool json = false;
    const struct arg table[] = {
        {"SOURCE", .kind = ARG_PLACE, .out = &options.source,
         .help = "Hugging Face folder or GGUF file of qwen2_moe, qwen2 or llama"},
        {"--out", .alias = "-o", .kind = ARG_TEXT, .out = &options.output, .value = "BUNDLE", .required = true,
         .help = "the bundle; appears whole or not at all"},
        {"--weights", .kind = ARG_CHOICE, .out = &kind, .value = "TYPE", .choices = weights,
         .help = "keep (default), int4, int8, bf16, f16, f32"},
        {"--group", .kind = ARG_CHOICE, .out = &group, .value = "N", .choices = groups,
         .help = "weights that share a scale, where they are quantised: 32 (default), 64, 128"},
        {"--head-int4", .kind = ARG_FLAG, .out = &options.head_int4,
         .help = "with int4: embedding and head too, which cost most"},
        {"--key", .kind = ARG_TEXT, .out = &key, .value = "FILE",
         .help = "sign with this private key instead of the store's"},
        {"--id", .kind = ARG_TEXT, .out = &options.id, .value = "NAME",
         .help = "the model's name (default: the checkpoint's)"},
        {"--counter", .kind = ARG_U32, .out = &counter, .value = "N", .max = UINT32_MAX,
         .help = "security counter: products refuse a lower one later (default 0)"},
        {"--threads", .kind = ARG_U32, .out = &threads, .value = "N", .min = 1, .max = 1024,
         .help = "threads (default: one per CPU)"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print the summary as a JSON object"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Packs a checkpoint into a signed bundle.",
        .details =
            "keep stores every matrix as it is: Int4 keeps its values bit for bit, floats keep their type. int4 and\n"
            "int8 quantise what is not Int4 already; embedding and head stay at 8 bits. The same source, options\n"
            "and key give the same bytes. Memory does not grow with the checkpoint.",
        .example = "    moxie pack Qwen1.5-MoE-A2.7B-Chat -o qwen.moxie --weights int4 --group 128",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    interrupt_install();
    options.weights = (enum pk_weights)kind;
    options.group = 32u << group;
    options.threads = threads;
    options.security_counter = counter;
    return pack(options, key, json);
}
