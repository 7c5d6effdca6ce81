/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a conformance report: the environment, each kernel, each whole-model vector. */
#define _POSIX_C_SOURCE 200809L // gmtime_r
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "tools/board.h"
#include "tools/conform.h"
#include "tools/digest.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/kernel_test.h"
#include "tools/report.h"
#include "tools/vectors.h"
#include "twin/environment.h"

struct runner {
    const struct conform_options *o;
    struct progress progress;
    struct digest fingerprint;      /* of the digests of all runs, in order */
    struct helpers helpers;         /* whose units are the self-test's programs, then the models */
    bool differs, refused, unknown; /* unknown: a digest that no table has */
    uint64_t done, total;           /* runs */
    int status;                     /* of what ended it early */
};

/* ---- One model ---- */

/* What is fed to an engine: prompts, and the ways to feed them. */
struct plan {
    const uint32_t *tokens;
    uint32_t prompts;
    const struct vector_way *ways;
    bool small;
};

static const struct vector_way bundle_ways[] = {{1, 0, true}, {1, 7, true}, {2, 32, true}, {0, 0, true}};

static uint32_t longest(const struct plan *p) {
    return p->tokens[p->prompts - 1];
}

/* The entries of a step: sequence 0 between the others, as moxie logits has them. */
static uint32_t fill_step(struct moxie_entry *entries, uint32_t vocab, uint32_t batch, uint32_t position, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 1; i <= batch; i++) {
        const uint32_t sequence = (i + batch / 2) % batch;
        for (uint32_t k = 0; k < n; k++) {
            entries[count++] = (struct moxie_entry){.sequence = sequence,
                                                    .position = position + k,
                                                    .token = vector_token(vocab, sequence, position + k),
                                                    .want_logits = sequence == 0};
        }
    }
    return count;
}

/* Feeds `tokens` tokens in one way; `rows`, when not NULL, gets a digest of each row. */
static enum moxie_error feed(struct engine *e, const struct vector_way *way, uint32_t tokens, char hex[65],
                             json_t *rows, struct moxie_failure *failure) {
    static struct moxie_entry entries[VECTOR_TOKENS * VECTOR_BATCH];
    struct digest digest, row;
    const uint32_t chunk = way->chunk ? way->chunk : tokens;
    enum moxie_error code = MOXIE_OK;
    digest_begin(&digest);
    for (uint32_t s = 0; !code && s < way->batch; s++) {
        code = moxie_sequence_truncate(e->moxie, s, 0, failure);
    }
    for (uint32_t at = 0; !code && at < tokens; at += chunk) {
        const uint32_t n = tokens - at < chunk ? tokens - at : chunk;
        code = moxie_step(e->moxie, entries, fill_step(entries, e->model.vocab, way->batch, at, n), failure);
        for (uint32_t i = 0; !code && i < n; i++) {
            digest_row(&digest, moxie_logits(e->moxie, i), e->model.vocab);
            if (rows) {
                digest_begin(&row);
                digest_row(&row, moxie_logits(e->moxie, i), e->model.vocab);
                digest_end(&row, hex);
                json_array_append_new(rows, json_stringn(hex, 16));
            }
        }
    }
    digest_end(&digest, hex);
    return code;
}

/* All ways of one prompt; false: stop. */
static bool run_prompt(struct runner *r, struct engine *e, const struct plan *p, uint32_t tokens, const char *expected,
                       json_t *entry, const char **result) {
    json_t *runs = json_object_get(entry, "runs"), *rows = json_object_get(entry, "rows");
    for (const struct vector_way *way = p->ways; way->batch; way++) {
        char hex[65];
        struct moxie_failure failure = {0};
        if (p->small && !way->small) {
            continue;
        }
        const bool with_rows = tokens == longest(p) && json_array_size(rows) == 0;
        const double began = seconds_now();
        enum moxie_error code = feed(e, way, tokens, hex, with_rows ? rows : NULL, &failure);
        if (code == MOXIE_ERROR_CANCELLED) {
            return false;
        }
        if (code) { // its digest is that of what came before the failure
            report_failure(&failure);
            *result = moxie_error_name(code);
        } else if (expected && strcmp(expected, hex) != 0) {
            *result = "differs";
        } else if (!expected && r->unknown) {
            *result = "no reference";
        }
        json_array_append_new(runs,
                              json_pack("{s:i, s:i, s:i, s:s, s:f}", "tokens", (int)tokens, "batch", (int)way->batch,
                                        "chunk", (int)way->chunk, "sha256", hex, "seconds", seconds_now() - began));
        digest_add(&r->fingerprint, hex, 64);
        progress_update(&r->progress, "vectors", ++r->done, r->total);
    }
    return true;
}

static int start(const struct runner *r, struct engine *e, const struct plan *p) {
    struct moxie_config config = MOXIE_CONFIG;
    config.sequences = 1;
    for (const struct vector_way *way = p->ways; way->batch; way++) {
        config.sequences = way->batch > config.sequences && (way->small || !p->small) ? way->batch : config.sequences;
    }
    config.context = longest(p);
    config.step_tokens = longest(p) * config.sequences;
    config.step_logits = longest(p);
    return engine_start(e, &r->o->engine, &config);
}

/* Starts the engine on an open bundle and runs all; false: stop. Fills in `entry`. */
static bool run_model(struct runner *r, struct engine *e, const char *name, const struct plan *p, json_t *entry) {
    const char *result = "ok";
    json_object_set_new(entry, "runs", json_array());
    json_object_set_new(entry, "rows", json_array());
    json_t *all = json_object();
    json_object_set_new(entry, "expected", all);
    bool go_on = true;
    json_t *replaced = json_array();
    json_object_set_new(entry, "replaced", replaced);
    const int started = start(r, e, p);
    if (started != STATUS_OK) {
        result = moxie_error_name(e->failure.code);
        r->refused = true;
        // a wrong option says nothing of the device
        go_on = e->failure.code != MOXIE_ERROR_CANCELLED && e->failure.code != MOXIE_ERROR_ARGUMENT;
        r->status = go_on ? STATUS_OK : started;
    }
    struct moxie_replacement one;
    for (uint32_t i = 0; e->moxie && moxie_engine_replacement(e->moxie, i, &one); i++) {
        json_array_append_new(replaced,
                              json_pack("{s:s, s:s, s:s, s:s}", "kernel", one.kernel ? one.kernel : one.program, "was",
                                        one.was, "is", one.is, "why", moxie_error_name(one.why)));
    }
    for (uint32_t i = 0; go_on && e->moxie && i < p->prompts; i++) {
        char count[16];
        const char *expected = vector_expected(name, p->tokens[i]);
        snprintf(count, sizeof(count), "%u", p->tokens[i]);
        json_object_set_new(all, count, expected ? json_string(expected) : json_null());
        r->unknown = r->unknown || (!expected && name[0]);
        go_on = run_prompt(r, e, p, p->tokens[i], expected, entry, &result);
    }
    r->differs = r->differs || strcmp(result, "ok") != 0;
    json_object_set_new(entry, "result", json_string(result));
    return go_on;
}

/* ---- All models ---- */

enum { FIRST_MODEL = 128 }; /* unit of the helpers */

static bool chosen(const struct runner *r, const struct vector_model *m) {
    return vector_chosen(m, r->o->small, r->o->model);
}

static struct plan plan_of_vectors(const struct runner *r) {
    const bool small = r->o->small;
    return (struct plan){.tokens = small ? vector_small_prompts : vector_prompts,
                         .prompts = small ? VECTOR_SMALL_PROMPTS : VECTOR_PROMPTS,
                         .ways = vector_ways,
                         .small = small};
}

static bool run_vectors(struct runner *r, json_t *list) {
    const bool small = r->o->small;
    const struct plan plan = plan_of_vectors(r);
    uint32_t ways = 0;
    for (const struct vector_way *way = vector_ways; way->batch; way++) {
        ways += way->small || !small;
    }
    for (const struct vector_model *m = vector_models; m->name; m++) {
        r->total += chosen(r, m) ? (uint64_t)ways * plan.prompts : 0;
    }
    bool go_on = true;
    for (const struct vector_model *m = vector_models; go_on && m->name; m++) {
        struct engine engine;
        char sha256[65] = "";
        if (!chosen(r, m)) {
            continue;
        }
        helpers_take(&r->helpers, FIRST_MODEL + (uint32_t)(m - vector_models));
        if (vector_open(&engine, m, NULL, sha256) != STATUS_OK) {
            go_on = false;
        } else {
            json_t *entry = json_pack("{s:s, s:s}", "model", m->name, "bundle_sha256", sha256);
            json_array_append_new(list, entry);
            go_on = run_model(r, &engine, m->name, &plan, entry);
        }
        engine_close(&engine);
    }
    return go_on;
}

int conform_look_at_bundles(const struct conform_options *o) {
    int status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < o->bundles->count; i++) {
        struct engine engine;
        status = engine_open_bundle(&engine, o->bundles->text[i], o->engine.pub);
        engine_close(&engine);
    }
    return status;
}

/* Bundles that were named: what they give is only compared with other reports. */
static bool run_bundles(struct runner *r, json_t *list) {
    const struct plan plan = {.tokens = vector_small_prompts, .prompts = 1, .ways = bundle_ways};
    bool go_on = true;
    for (uint32_t i = 0; go_on && i < r->o->bundles->count; i++) {
        struct runner apart = {.o = r->o, .total = 3};
        struct engine engine;
        const char *path = r->o->bundles->text[i];
        char sha256[65] = "";
        if (engine_open_bundle(&engine, path, r->o->engine.pub) == STATUS_OK && digest_file(path, sha256)) {
            json_t *entry = json_pack("{s:s, s:s, s:s}", "model", engine.model.id, "architecture",
                                      engine.model.architecture, "bundle_sha256", sha256);
            json_array_append_new(list, entry);
            digest_begin(&apart.fingerprint);
            go_on = run_model(&apart, &engine, "", &plan, entry);
            progress_end(&apart.progress);
            r->differs = r->differs || apart.differs; // one that does not start, too: the device is not refused for it
            r->status = apart.status;
        } else {
            go_on = false;
        }
        engine_close(&engine);
    }
    return go_on;
}

/* ---- Kernels, and helpers ---- */

static struct kernel_test kernels_of(struct runner *r) {
    const struct conform_options *o = r->o;
    return (struct kernel_test){
        .t = {.device = o->engine.device, .small = o->small}, .tune = o->engine.tune, .helpers = &r->helpers};
}

/* Compiles what the kernels and the models need. */
static void help(void *user) {
    struct runner *r = user;
    struct kernel_test test = kernels_of(r);
    const struct plan plan = plan_of_vectors(r);
    const struct vector_model *m = vector_models;
    int status = STATUS_OK;
    if (!r->o->model) {
        json_decref(kernel_test_run(&test, &status));
    }
    while (m->name) {
        m++;
    }
    while (m-- > vector_models && !interrupt_pending()) {
        struct engine engine;
        char sha256[65];
        if (!chosen(r, m) || !helpers_take(&r->helpers, FIRST_MODEL + (uint32_t)(m - vector_models))) {
            continue;
        }
        if (vector_open(&engine, m, NULL, sha256) == STATUS_OK) {
            start(r, &engine, &plan);
        }
        engine_close(&engine);
    }
}

/* ---- The report ---- */

static json_t *begin_report(const struct conform_options *o) {
    struct utsname host;
    char date[32] = "", system[512] = "", version[32];
    const time_t now = time(NULL);
    struct tm utc;
    const uint32_t v = moxie_version();
    if (gmtime_r(&now, &utc)) {
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    if (uname(&host) == 0) {
        snprintf(system, sizeof(system), "%s %s %s", host.sysname, host.release, host.machine);
    }
    snprintf(version, sizeof(version), "%u.%u.%u", v >> 16, v >> 8 & 255, v & 255);
    return json_pack("{s:i, s:s, s:s, s:s, s:b, s:b, s:s?, s:i, s:s?}", "moxie_conform", CONFORM_VERSION, "moxie",
                     version, "date", date, "host", system, "small", (int)o->small, "portable",
                     (int)o->engine.tune.portable, "tune", o->engine.tune.text, "threads", (int)o->engine.threads,
                     "model", o->model);
}

static void finish_report(struct runner *r, json_t *report, double began) {
    char got[65], expected[65];
    digest_end(&r->fingerprint, got);
    vector_fingerprint(r->o->small, r->o->model, expected);
    json_object_set_new(report, "fingerprint", r->refused ? json_null() : json_string(got));
    json_object_set_new(report, "expected_fingerprint", json_string(expected));
    json_object_set_new(report, "result",
                        json_string(r->refused                 ? "refused"
                                    : r->differs || r->unknown ? "differs"
                                                               : "conforms"));
    json_object_set_new(report, "seconds", json_real(seconds_now() - began));
}

json_t *conform_run(const struct conform_options *o, int *status) {
    struct runner r = {.o = o};
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    struct moxie_failure failure = {0};
    const double began = seconds_now();
    engine_threads(o->engine.threads);
    helpers_start(&r.helpers, o->jobs, help, &r);
    enum moxie_error code = moxie_device_facts(o->engine.device, &facts, &failure);
    if (code != MOXIE_OK && code != MOXIE_ERROR_DEVICE_UNFIT) {
        helpers_end(&r.helpers);
        *status = report_failure(&failure);
        return NULL;
    }
    json_t *report = begin_report(o), *environment = json_object(), *fact = json_object();
    twin_environment(o->engine.device, json_fact, environment, NULL);
    board_visit(&facts, json_fact, fact);
    json_object_set_new(report, "environment", environment);
    json_object_set_new(report, "facts", fact);
    json_object_set_new(report, "refused", code ? json_string(failure.what) : json_null());
    r.refused = code != MOXIE_OK;

    json_t *vectors = json_array(), *bundles = json_array(), *kernels = NULL;
    digest_begin(&r.fingerprint);
    *status = STATUS_OK;
    bool go_on = true;
    if (!r.refused) {
        struct kernel_test test = kernels_of(&r);
        test.reproduce = o->reproduce;
        if (!o->model) {
            kernels = kernel_test_run(&test, status);
            r.differs = test.report.wrong > 0;
        }
        go_on = (kernels || o->model) && run_vectors(&r, vectors);
        progress_end(&r.progress);
        go_on = go_on && run_bundles(&r, bundles);
    }
    helpers_end(&r.helpers);
    json_object_set_new(report, "kernels", kernels ? kernels : json_null());
    json_object_set_new(report, "vectors", vectors);
    json_object_set_new(report, "bundles", bundles);
    finish_report(&r, report, began);
    if (!go_on) {
        *status = interrupt_pending() ? STATUS_INTERRUPTED : r.status ? r.status : *status ? *status : STATUS_FAILED;
        json_decref(report);
        return NULL;
    }
    return report;
}
