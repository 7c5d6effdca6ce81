/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie pack: from a checkpoint to a signed bundle. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "pack/pack.h"
#include "tools/args.h"
#include "tools/commands.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/paths.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/signing.h"
#include "tools/tables.h"

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "packing", done, total);
    return interrupt_pending();
}

/* "exact", "0.0043", or in a dry run "rounded". */
static const char *error_text(const struct pk_kind *k, bool dry, char text[static 32]) {
    snprintf(text, 32, "%.4f", k->error);
    return dry && k->rounded ? "rounded" : k->error > 0 ? text : "exact";
}

static void print_kinds(const struct pk_summary *s, bool dry) {
    printf("  %-12s %-7s %5s %9s %14s %14s  %s\n", "matrices", "type", "group", "number", "parameters", "bytes",
           "relative error");
    for (uint32_t i = 0; i < s->kinds; i++) {
        const struct pk_kind *k = &s->kind[i];
        char error[32];
        printf("  %-12s %-7s %5u %9u %14llu %14llu  %s\n", role_name(k->role), format_name(k->format), k->group,
               k->matrices, (unsigned long long)k->parameters, (unsigned long long)k->bytes, error_text(k, dry, error));
    }
}

/* "48 x 96" */
static const char *shape_text(const struct pk_tensor *t, char text[static 64]) {
    snprintf(text, 64, "%llu x %llu", (unsigned long long)t->rows, (unsigned long long)t->cols);
    return text;
}

static void print_ignored(const struct pk_source *source) {
    size_t n = 0;
    for (size_t i = 0; i < source->n_tensors; i++) {
        n += source->tensors[i].ignored;
    }
    printf("  tensors that are ignored: %zu\n", n);
    for (size_t i = 0; i < source->n_tensors; i++) {
        const struct pk_tensor *t = &source->tensors[i];
        char shape[64];
        if (t->ignored) {
            printf("    %s (%s, %s)%s\n", t->name, t->type_name, shape_text(t, shape),
                   t->surplus ? ": surplus" : ": adds nothing");
        }
    }
}

static void print_summary(const struct pk_summary *s, const struct pk_source *source,
                          const struct pk_pack_options *options) {
    const bool dry = options->dry_run;
    printf("%s: %s (%s), %u layers, %llu parameters in matrices\n",
           options->output ? options->output : "nothing is written", s->model, s->architecture, s->layers,
           (unsigned long long)s->parameters);
    print_kinds(s, dry);
    if (s->widened) {
        printf("  %llu matrices are in a larger format than asked for: parts of one tensor differ\n",
               (unsigned long long)s->widened);
    }
    if (s->flushed) {
        printf("  %llu values below 2^-40 in magnitude became 0\n", (unsigned long long)s->flushed);
    }
    if (s->unpacked) {
        printf("  %llu bytes went through a temporary file: the archive is compressed\n",
               (unsigned long long)s->unpacked);
    }
    printf("  tokenizer: %s; chat template: %s; licence text: %s\n", s->tokenizer ? "yes" : "no",
           chat_template_name(s->chat_template), s->license ? "yes" : "no");
    if (dry) {
        print_ignored(source);
        printf("  it would be %llu bytes in %u segments; nothing was written\n", (unsigned long long)s->bundle_bytes,
               s->segments);
    } else {
        printf("  %llu bytes in %u segments, signed by key %.16s...\n", (unsigned long long)s->bundle_bytes,
               s->segments, s->key_id);
    }
}

static int print_json(const struct pk_summary *s, const struct pk_source *source,
                      const struct pk_pack_options *options) {
    json_t *kinds = json_array(), *ignored = json_array(), *notes = json_array();
    for (uint32_t i = 0; i < s->kinds; i++) {
        const struct pk_kind *k = &s->kind[i];
        json_array_append_new(kinds,
                              json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:f}", "matrix", role_name(k->role),
                                        "type", format_name(k->format), "group", (json_int_t)k->group, "number",
                                        (json_int_t)k->matrices, "parameters", (json_int_t)k->parameters, "bytes",
                                        (json_int_t)k->bytes, "rounded", (int)k->rounded, "relative_error", k->error));
    }
    for (size_t i = 0; i < source->n_tensors; i++) {
        if (source->tensors[i].ignored) {
            json_array_append_new(ignored, json_string(source->tensors[i].name));
        }
    }
    for (size_t i = 0; i < source->n_notes; i++) {
        json_array_append_new(notes, json_string(source->notes[i]));
    }
    return json_print(json_pack(
        "{s:s?, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "bundle",
        json_path(options->output), "dry_run", (int)options->dry_run, "model", s->model, "architecture",
        s->architecture, "key_id", s->key_id, "parameters", (json_int_t)s->parameters, "bytes",
        (json_int_t)s->bundle_bytes, "weight_bytes", (json_int_t)s->weight_bytes, "segments", (json_int_t)s->segments,
        "tokenizer", (int)s->tokenizer, "chat_template", chat_template_name(s->chat_template), "flushed",
        (json_int_t)s->flushed, "widened", (json_int_t)s->widened, "unpacked", (json_int_t)s->unpacked, "matrices",
        kinds, "ignored", ignored, "notes", notes));
}

/* What is odd about the checkpoint, on standard error. */
static void report_oddities(const struct pk_source *source) {
    for (size_t i = 0; i < source->n_notes; i++) {
        report_note("%s: %s", source->path, source->notes[i]);
    }
    for (size_t i = 0; i < source->n_tensors; i++) {
        const struct pk_tensor *t = &source->tensors[i];
        char shape[64];
        if (t->surplus) {
            report_note("%s: tensor \"%s\" (%s, %s) is surplus: ignored", source->path, t->name, t->type_name,
                        shape_text(t, shape));
        }
    }
}

static int pack(struct pk_pack_options *options, const char *key_path, bool json) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct progress progress = {.bytes = true};
    struct pk_key key = {{0}, {0}};
    int status = options->dry_run ? STATUS_OK : signing_key_read(&key, key_path);
    if (status != STATUS_OK) {
        return status;
    }
    options->key = options->dry_run ? NULL : &key;
    struct pk_source *source = pk_source_open(options->source, &e);
    bool ok = source && pk_pack_source(source, options, on_progress, &progress, &summary, &e);
    pk_key_wipe(&key);
    options->key = NULL;
    progress_end(&progress);
    if (!ok) {
        status = report_error(e.code, "%s", e.text);
    } else {
        report_oddities(source);
        if (json) {
            status = print_json(&summary, source, options);
        } else {
            print_summary(&summary, source, options);
            status = finish_output(STATUS_OK);
        }
    }
    pk_source_close(source);
    return status;
}

/* The output would take the place of what it is made of. A bundle among a checkpoint's files is none of them. */
static bool is_of_source(const char *output, const char *source) {
    bool is = path_same(output, source);
    DIR *folder = opendir(source);
    char path[PATH_BYTES];
    for (const struct dirent *entry = NULL; folder && !is && (entry = readdir(folder));) {
        const char *end = strrchr(entry->d_name, '.');
        is = !(end && strcmp(end, ".moxie") == 0) && path_join(path, source, entry->d_name) && path_same(output, path);
    }
    if (folder) {
        closedir(folder);
    }
    return is;
}

int cmd_pack(int argc, char **argv) {
    static const char *const weights[] = {"keep", "int4", "int8", "bf16", "f16", "f32", NULL}; // as enum pk_weights
    static const char *const groups[] = {"32", "64", "128", NULL};
    struct pk_pack_options options = {0};
    static const char *const kv[] = {"auto", "f16", "f32", "int8", NULL}; // as enum mx_kv_type
    uint32_t kind = PK_WEIGHTS_KEEP, group = 0, threads = 0, counter = 0;
    const char *key = NULL;
    bool json = false;
    const struct arg table[] = {
        {"SOURCE", .kind = ARG_PLACE, .out = &options.source,
         .help = "Hugging Face folder or GGUF file, or an archive (tar, zip) of either"},
        {"--out", .alias = "-o", .kind = ARG_TEXT, .out = &options.output, .value = "BUNDLE",
         .help = "the bundle; appears whole or not at all"},
        {"--dry-run", .kind = ARG_FLAG, .out = &options.dry_run,
         .help = "only tell what would be done, the size, and what would be ignored"},
        {"--weights", .kind = ARG_CHOICE, .out = &kind, .value = "TYPE", .choices = weights,
         .help = "keep (default), int4, int8, bf16, f16, f32"},
        {"--group", .kind = ARG_CHOICE, .out = &group, .value = "N", .choices = groups,
         .help = "weights that share a scale, where they are quantised: 32 (default), 64, 128"},
        {"--head-int4", .kind = ARG_FLAG, .out = &options.head_int4,
         .help = "with int4: embedding and head too, which cost most"},
        {"--kv", .kind = ARG_CHOICE, .out = &options.kv_type, .value = "TYPE", .choices = kv,
         .help = "keys and values of a session: auto (default: f16, f32 for float weights), f16, f32, int8"},
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
    if (!options.output && !options.dry_run) {
        return usage_error("-o BUNDLE is missing");
    }
    if (options.head_int4 && kind != PK_WEIGHTS_INT4) {
        return usage_error("--head-int4 goes with --weights int4");
    }
    if (options.dry_run && key) {
        return usage_error("--dry-run signs nothing: without --key");
    }
    if (options.output && is_of_source(options.output, options.source)) {
        return usage_error("-o %s is a file of the checkpoint", options.output);
    }
    interrupt_install();
    options.weights = (enum pk_weights)kind;
    options.group = 32u << group;
    options.threads = threads;
    options.security_counter = counter;
    return pack(&options, key, json);
}
