/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie plan: every byte and every launch of a run, before it starts. */
#include <stdio.h>

#include "tools/bench_bundle.h"
#include "tools/board.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/json_out.h"
#include "tools/paths.h"
#include "tools/plan_fit.h"
#include "tools/report.h"
#include "tools/svg.h"
#include "tools/synthetic.h"

static const char *const region_names[MOXIE_REGIONS] = {"HOST", "SESSION", "STEP"};
static const char *const region_what[MOXIE_REGIONS] = {"engine, tokenizer and sampler scratch", "keys and values",
                                                       "activations and logits"};

struct view {
    struct engine engine;
    struct moxie_plan plan;
    struct tune tune;
    uint32_t fits_context; /* largest context with which everything is in the device's memory at once; 0: none */
    json_t *buffers[MOXIE_REGIONS], *launches; /* NULL: print text */
    int region;                                /* of the last line printed */
};

static void print_line(void *user, int region, const char *name, uint64_t offset, uint64_t bytes) {
    struct view *v = user;
    if (region != v->region) {
        if (region >= 0) {
            printf("\n%-8s %12s %14s  buffer\n", region_names[region], "offset", "bytes");
        } else {
            printf("\nlaunches of a step\n");
        }
        v->region = region;
    }
    if (region >= 0) {
        printf("%21llu %14llu  %s\n", (unsigned long long)offset, (unsigned long long)bytes, name);
    } else {
        printf("%6llu  %s\n", (unsigned long long)bytes, name);
    }
}

static void add_line(void *user, int region, const char *name, uint64_t offset, uint64_t bytes) {
    struct view *v = user;
    if (region < 0) {
        json_array_append_new(v->launches, json_string(name));
        return;
    }
    json_array_append_new(v->buffers[region], json_pack("{s:s, s:I, s:I}", "name", name, "offset", (json_int_t)offset,
                                                        "bytes", (json_int_t)bytes));
}

static void print_tunable(void *user, const char *key, uint32_t value) {
    (void)user;
    if (value) {
        printf(" %s=%u", key, value);
    }
}

static void add_tunable(void *user, const char *key, uint32_t value) {
    json_object_set_new(user, key, json_integer(value));
}

/* What is in force on the device, and whose it is. */
static const char *find_tunables(const struct view *v, const struct moxie_device_facts *facts,
                                 struct moxie_tunables *tunables) {
    const char *board = NULL;
    if (moxie_device_tunables(facts, &v->tune.tunables, tunables, &board, NULL) != MOXIE_OK) {
        *tunables = (struct moxie_tunables)MOXIE_TUNABLES;
    }
    return board;
}

static void print_tunables(const struct view *v, const struct moxie_device_facts *facts) {
    struct moxie_tunables tunables;
    const char *board = find_tunables(v, facts, &tunables);
    printf("  %s%s, tunables:", board ? "board " : "no board that is known", board ? board : "");
    tune_visit(&tunables, print_tunable, NULL);
    printf("\n");
}

static void print_summary(const struct view *v, const struct moxie_device_facts *facts) {
    const struct moxie_plan *p = &v->plan;
    uint64_t all = p->weight_bytes;
    printf("%s on %s\n", v->engine.model.id, facts->name);
    printf("  %u sequence%s of %u positions, %u tokens a step, %u row%s of logits\n", p->sequences,
           p->sequences == 1 ? "" : "s", p->context, p->step_tokens, p->step_logits, p->step_logits == 1 ? "" : "s");
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        printf("  %-8s %14llu bytes  %s\n", region_names[i], (unsigned long long)p->region_bytes[i], region_what[i]);
        all += p->region_bytes[i];
    }
    printf("  %-8s %14llu bytes  mapped%s, %u window%s\n", "WEIGHTS", (unsigned long long)p->weight_bytes,
           facts->host_unified ? "" : " and uploaded once", p->windows, p->windows == 1 ? "" : "s");
    printf("  in all   %14llu bytes, of them on the device %llu\n", (unsigned long long)all,
           (unsigned long long)p->device_bytes);
    printf("  a token reads %llu bytes of weights and adds %llu bytes of keys and values\n",
           (unsigned long long)p->bytes_per_token, (unsigned long long)p->kv_bytes_per_token);
    printf("  %u kernels a step in %u launches, %u programs, %u KV blocks\n", p->launches, p->enqueues, p->programs,
           p->kv_blocks);
    print_tunables(v, facts);
    if (v->fits_context) {
        printf("  fits in the device's %llu bytes up to a context of %u positions\n",
               (unsigned long long)facts->global_bytes, v->fits_context);
    } else {
        printf("  does not fit in the device's %llu bytes: weights would be read from the file again and again\n",
               (unsigned long long)facts->global_bytes);
    }
}

static json_t *summary_json(const struct view *v, const struct moxie_device_facts *facts) {
    const struct moxie_plan *p = &v->plan;
    json_t *object =
        json_pack("{s:s, s:{s:I, s:I, s:I}, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model",
                  v->engine.model.id, "region_bytes", region_names[0], (json_int_t)p->region_bytes[0], region_names[1],
                  (json_int_t)p->region_bytes[1], region_names[2], (json_int_t)p->region_bytes[2], "weight_bytes",
                  (json_int_t)p->weight_bytes, "device_bytes", (json_int_t)p->device_bytes, "bytes_per_token",
                  (json_int_t)p->bytes_per_token, "kv_bytes_per_token", (json_int_t)p->kv_bytes_per_token, "context",
                  (int)p->context, "sequences", (int)p->sequences, "kv_blocks", (int)p->kv_blocks, "step_tokens",
                  (int)p->step_tokens, "step_logits", (int)p->step_logits, "windows", (int)p->windows, "launches",
                  (int)p->launches, "programs", (int)p->programs, "enqueues", (int)p->enqueues);
    json_object_set_new(object, "fits_context", json_integer(v->fits_context));
    struct moxie_tunables tunables;
    json_t *list = json_object();
    const char *board = find_tunables(v, facts, &tunables);
    tune_visit(&tunables, add_tunable, list);
    json_object_set_new(object, "board", board ? json_string(board) : json_null());
    json_object_set_new(object, "tunables", list);
    return object;
}

static int show_json(struct view *v, const struct moxie_device_facts *facts, const struct moxie_config *config) {
    struct moxie_failure failure = {0};
    json_t *object = summary_json(v, facts), *buffers = json_object();
    v->launches = json_array();
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        v->buffers[i] = json_array();
        json_object_set_new(buffers, region_names[i], v->buffers[i]);
    }
    json_object_set_new(object, "buffers", buffers);
    json_object_set_new(object, "launch_list", v->launches);
    if (moxie_plan_visit(&v->engine.bundle, facts, config, add_line, v, &failure) != MOXIE_OK) {
        json_decref(object);
        return report_failure(&failure);
    }
    return json_print(object);
}

static int draw(const struct view *v, const char *path) {
    const struct moxie_plan *p = &v->plan;
    const struct svg_part part[] = {
        {"WEIGHTS", "mapped from the bundle", p->weight_bytes},
        {"SESSION", region_what[MOXIE_REGION_SESSION], p->region_bytes[MOXIE_REGION_SESSION]},
        {"STEP", region_what[MOXIE_REGION_STEP], p->region_bytes[MOXIE_REGION_STEP]},
        {"HOST", region_what[MOXIE_REGION_HOST], p->region_bytes[MOXIE_REGION_HOST]},
    };
    char title[256];
    snprintf(title, sizeof(title), "%s: all memory, for a context of %u", v->engine.model.id, p->context);
    return svg_bar(path, title, part, sizeof(part) / sizeof(part[0]));
}

struct how {
    bool summary, json;
    const char *svg; /* a file for the picture, or NULL */
};

static int show(struct view *v, const struct moxie_device_facts *facts, const struct moxie_config *config,
                const struct how *how) {
    struct moxie_failure failure = {0};
    v->fits_context = plan_largest_context(&v->engine, facts, config);
    if (moxie_plan(&v->engine.bundle, facts, config, &v->plan, &failure) != MOXIE_OK) {
        int status = report_failure(&failure);
        if (failure.code == MOXIE_ERROR_DEVICE_MEMORY && v->fits_context) {
            fprintf(stderr, "It fits up to --context %u\n", v->fits_context);
        }
        return status;
    }
    if (how->svg) {
        const int status = draw(v, how->svg);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (how->json) {
        return show_json(v, facts, config);
    }
    print_summary(v, facts);
    v->region = MOXIE_REGIONS;
    if (!how->summary && moxie_plan_visit(&v->engine.bundle, facts, config, print_line, v, &failure) != MOXIE_OK) {
        return report_failure(&failure);
    }
    return finish_output(STATUS_OK);
}

/* Facts of the board or, without one, of the device. */
static int find_facts(const char *board, uint32_t device, struct moxie_device_facts *facts) {
    struct moxie_failure failure = {0};
    if (board) {
        return board_read(board, facts);
    }
    if (moxie_device_facts(device, facts, &failure) == MOXIE_OK) {
        return STATUS_OK;
    }
    int status = report_failure(&failure);
    fputs("A plan for another machine needs no device: --board FILE, see boards/README.md\n", stderr);
    return status;
}

int cmd_plan(int argc, char **argv) {
    const char *bundle = NULL, *board = NULL, *pub = NULL;
    struct moxie_config config = MOXIE_CONFIG;
    struct how how = {0};
    struct view view = {0};
    struct bench_shape shape = {.shape = UINT32_MAX, .hollow = true};
    bool experts = false, boards = false;
    uint32_t device = UINT32_MAX; // not told
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE_OPTIONAL, .out = &bundle, .help = "a file made by moxie pack, or:"},
        {"--shape", .kind = ARG_CHOICE, .out = &shape.shape, .value = "SHAPE", .choices = synthetic_shapes,
         .help = "a published shape in Int4"},
        BENCH_SHAPE_OPTIONS(&shape),
        {"--board", .kind = ARG_TEXT, .out = &board, .value = "BOARD",
         .help = "facts file, folder, or name in boards/ (default: the device here)"},
        {"--boards", .kind = ARG_FLAG, .out = &boards, .help = "a table of all boards: what fits where"},
        {"--device", .kind = ARG_U32, .out = &device, .value = "D", .max = UINT32_MAX - 1,
         .help = "OpenCL device, as moxie devices counts (default 0)"},
        {"--context", .kind = ARG_U32, .out = &config.context, .value = "N", .min = 1, .max = 1u << 24,
         .help = "positions of a sequence (default: the model's, at most 4096)"},
        {"--batch", .kind = ARG_U32, .out = &config.sequences, .value = "N", .min = 1, .max = 256,
         .help = "sequences at once (default 1)"},
        {"--chunk", .kind = ARG_U32, .out = &config.step_tokens, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens of one step (default: 256 or the context)"},
        TUNE_OPTIONS(&view.tune),
        {"--experts", .kind = ARG_FLAG, .out = &experts, .help = "with room to keep which experts a step takes"},
        {"--pub", .kind = ARG_TEXT, .out = &pub, .value = "FILE", .help = "trust only this public key, not the store"},
        {"--summary", .kind = ARG_FLAG, .out = &how.summary, .help = "only the totals"},
        {"--json", .kind = ARG_FLAG, .out = &how.json, .help = "print a JSON object"},
        {"--svg", .kind = ARG_TEXT, .out = &how.svg, .value = "FILE.svg", .help = "also draw the memory as a bar"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Shows every buffer of every region and every launch of a step, as a run will have them.",
        .example = "    moxie plan --shape qwen2-57b-a14b --boards\n"
                   "    moxie plan smollm2.moxie --board host-pocl --context 2048 --batch 4",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    status = bench_shape_check(&shape, bundle);
    if (status != STATUS_OK) {
        return status;
    }
    if (boards && (board || how.summary || how.svg)) {
        return usage_error("--boards is a table of its own: without --board, --summary and --svg");
    }
    if (device != UINT32_MAX && (board || boards)) {
        return usage_error("--device is a device here: without --board and --boards");
    }
    if (pub && !bundle) {
        return usage_error("--pub is for a BUNDLE");
    }
    if (how.svg && bundle && path_same(how.svg, bundle)) {
        return usage_error("--svg %s is the bundle itself", how.svg);
    }
    if (how.json && how.summary) {
        return usage_error("--json prints everything: without --summary");
    }
    status = tune_parse(&view.tune);
    if (status != STATUS_OK) {
        return status;
    }
    config.device = device == UINT32_MAX ? 0 : device;
    config.experts = experts;
    config.tunables = &view.tune.tunables;
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    status = bundle ? engine_open_bundle(&view.engine, bundle, pub) : bench_bundle_open(&view.engine, &shape);
    if (status == STATUS_OK && boards) {
        status = plan_boards(&view.engine, &config, how.json);
    } else if (status == STATUS_OK) {
        status = find_facts(board, config.device, &facts);
    }
    if (status == STATUS_OK && !boards) {
        status = show(&view, &facts, &config, &how);
    }
    engine_close(&view.engine);
    return status;
}
