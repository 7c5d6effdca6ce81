/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie selftest: every kernel of a device against its scalar twin. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/board.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/kernel_report.h"
#include "tools/report.h"

struct selftest {
    struct kernel_cache cache;
    struct kernel_report report;
    bool json;
};

static size_t on_cache_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    return kernel_cache_load(&((struct selftest *)user)->cache, key, bytes, max);
}

static void on_cache_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    kernel_cache_store(&((struct selftest *)user)->cache, key, bytes, count);
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    progress_update(&((struct selftest *)user)->report.progress, what, done, total);
    return interrupt_pending();
}

static void on_verdict(void *user, const struct twin_verdict *v) {
    struct selftest *s = user;
    kernel_report_add(&s->report, v);
    if (v->error != MOXIE_OK && !s->json) {
        kernel_report_wrong(&s->report, v);
    }
}

static int run(struct selftest *s, struct twin_selftest *t) {
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    struct moxie_failure failure = {0};
    callbacks.user = t->user = s;
    callbacks.cache_load = on_cache_load;
    callbacks.cache_store = on_cache_store;
    callbacks.progress = on_progress;
    t->callbacks = &callbacks;
    t->each = on_verdict;
    kernel_cache_open(&s->cache);
    s->report.list = s->json ? json_array() : NULL;
    enum moxie_error code = twin_selftest(t, &facts, &failure);
    progress_end(&s->report.progress);
    if (code != MOXIE_OK) {
        json_decref(s->report.list);
        return report_failure(&failure);
    }
    int status = s->report.wrong ? status_of(MOXIE_ERROR_KNOWN_ANSWER) : STATUS_OK;
    if (!s->json) {
        printf("%u  %s, %s, driver %s\n", t->device, facts.platform, facts.name, facts.driver);
        kernel_report_summary(&s->report);
        return finish_output(status);
    }
    json_t *device = json_object();
    board_visit(&facts, json_fact, device);
    int printed =
        json_print(json_pack("{s:i, s:o, s:i, s:i, s:o}", "device_index", (int)t->device, "device", device, "cases",
                             (int)s->report.cases, "wrong", (int)s->report.wrong, "kernels", s->report.list));
    return printed ? printed : status;
}

int cmd_selftest(int argc, char **argv) {
    struct selftest s = {.json = false};
    struct twin_selftest t = {.device = 0};
    uint32_t threads = 0;
    const struct arg table[] = {
        {"--device", .kind = ARG_U32, .out = &t.device, .value = "D", .max = UINT32_MAX,
         .help = "OpenCL device, as moxie devices counts (default 0)"},
        {"--portable", .kind = ARG_FLAG, .out = &t.portable, .help = "only the portable kernels"},
        {"--small", .kind = ARG_FLAG, .out = &t.small, .help = "a selection, for slow drivers"},
        {"--threads", .kind = ARG_U32, .out = &threads, .value = "N", .min = 1, .max = 4096,
         .help = "threads of a CPU driver (default: its own choice)"},
        {"--json", .kind = ARG_FLAG, .out = &s.json, .help = "print a JSON object"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Compares every kernel, in every form that a device would use, with its scalar twin, bit for bit.",
        .details = "Exit status 0 when all are right; else the wrong kernel, its program and shape, and the first\n"
                   "element that differs are told. A model would run in spite of a wrong variant: the library finds\n"
                   "it at start and takes the portable kernel, but refuses a device whose portable kernel is wrong.",
        .example = "    moxie selftest --device 1",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    engine_threads(threads);
    interrupt_install();
    return run(&s, &t);
}
