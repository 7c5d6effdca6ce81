/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // setenv
#include "tools/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/interrupt.h"
#include "tools/report.h"

struct engine_args engine_args(struct engine_options *o) {
    return (struct engine_args){{
        {"--pub", .kind = ARG_TEXT, .out = &o->pub, .value = "FILE",
         .help = "trust only this public key, not the store"},
        {"--device", .kind = ARG_U32, .out = &o->device, .value = "D", .max = UINT32_MAX,
         .help = "OpenCL device, as moxie devices counts (default 0)"},
        {"--context", .kind = ARG_U32, .out = &o->context, .value = "N", .min = 1, .max = 1u << 24,
         .help = "positions of a sequence (default: the model's, at most 4096)"},
        {"--threads", .kind = ARG_U32, .out = &o->threads, .value = "N", .min = 1, .max = 4096,
         .help = "threads of a CPU driver (default: its own choice)"},
        TUNE_OPTIONS(&o->tune),
        {"--verbose", .kind = ARG_FLAG, .out = &o->verbose, .help = "show the library's diagnostics"},
        {.kind = ARG_END},
    }};
}

void engine_threads(uint32_t threads) {
    if (!threads) {
        return;
    }
    char text[16];
    snprintf(text, sizeof(text), "%u", threads);
    setenv("POCL_MAX_PTHREAD_COUNT", text, 1);
    setenv("POCL_CPU_MAX_CU_COUNT", text, 1); // its name since PoCL 6
}

/* With e->trust set, or its status. */
static int open_trusted(struct engine *e, const char *path, int status) {
    struct moxie_failure failure = {0};
    if (status != STATUS_OK) {
        return status;
    }
    if (moxie_bundle_open(&e->bundle, path, &e->trust.library, &failure) != MOXIE_OK) {
        return report_failure_in(path, &failure);
    }
    e->opened = true;
    moxie_bundle_model(&e->bundle, &e->model);
    return STATUS_OK;
}

int engine_open_bundle(struct engine *e, const char *path, const char *pub) {
    *e = (struct engine){0};
    return open_trusted(e, path, trust_open(&e->trust, pub));
}

int engine_open_signed(struct engine *e, const char *path, const uint8_t xy[64]) {
    *e = (struct engine){0};
    return open_trusted(e, path, trust_key(&e->trust, xy));
}

static size_t on_cache_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    return kernel_cache_load(&((struct engine *)user)->cache, key, bytes, max);
}

static void on_cache_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    kernel_cache_store(&((struct engine *)user)->cache, key, bytes, count);
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    struct engine *e = user;
    progress_update(&e->progress, what, done, total);
    return interrupt_pending();
}

static void on_launch(void *user, const struct moxie_launch *launch) {
    struct engine *e = user;
    e->launch(e->launch_user, launch);
}

static void on_log(void *user, const char *text) {
    struct engine *e = user;
    if (e->verbose) {
        progress_end(&e->progress);
        fprintf(stderr, "%s\n", text);
        return;
    }
    size_t used = strlen(e->log);
    snprintf(e->log + used, sizeof(e->log) - used, "%s\n", text);
}

int engine_open(struct engine *e, const struct engine_options *o, struct moxie_config *config) {
    int status = engine_open_bundle(e, o->bundle, o->pub);
    return status ? status : engine_start(e, o, config);
}

/* The bits are right in spite of them, but somebody may wonder about the speed. */
static void tell_replacements(const struct engine *e) {
    struct moxie_replacement r;
    for (uint32_t i = 0; moxie_engine_replacement(e->moxie, i, &r); i++) {
        report_note("kernel %s: %s %s on this device, %s instead (moxie selftest tells more)",
                    r.kernel ? r.kernel : r.program, r.was,
                    r.why == MOXIE_ERROR_COMPILE ? "does not compile" : "gives wrong bits", r.is);
    }
}

int engine_start(struct engine *e, const struct engine_options *o, struct moxie_config *config) {
    e->tune = o->tune;
    const int status = tune_parse(&e->tune);
    if (status != STATUS_OK) {
        return status;
    }
    engine_threads(o->threads);
    config->device = o->device;
    config->tunables = &e->tune.tunables;
    config->context = config->context ? config->context : o->context;
    e->verbose = o->verbose;
    kernel_cache_open(&e->cache);
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    callbacks.user = e;
    callbacks.cache_load = on_cache_load;
    callbacks.cache_store = on_cache_store;
    callbacks.progress = on_progress;
    callbacks.log = on_log;
    callbacks.launch = e->launch ? on_launch : NULL;
    enum moxie_error code = moxie_init(&e->moxie, &e->bundle, config, NULL, &callbacks, &e->failure);
    progress_end(&e->progress);
    if (code != MOXIE_OK) {
        e->moxie = NULL;
        fputs(e->log, stderr);
        const bool file = o->bundle && (code / 100 == 2 || code / 100 == 3); // what is in it, or who signed it
        return file ? report_failure_in(o->bundle, &e->failure) : report_failure(&e->failure);
    }
    moxie_engine_plan(e->moxie, &e->plan, &e->facts);
    tell_replacements(e);
    interrupt_engine(e->moxie);
    return STATUS_OK;
}

void engine_close(struct engine *e) {
    interrupt_engine(NULL);
    if (e->moxie) {
        moxie_close(e->moxie);
    }
    if (e->opened) {
        moxie_bundle_close(&e->bundle);
    }
    trust_close(&e->trust);
    *e = (struct engine){0};
}
