/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/kernel_test.h"

#include <errno.h>
#include <string.h>

#include "tools/interrupt.h"
#include "tools/report.h"
#include "twin/reproducer.h"

static size_t on_cache_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    return kernel_cache_load(&((struct kernel_test *)user)->cache, key, bytes, max);
}

static void on_cache_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    kernel_cache_store(&((struct kernel_test *)user)->cache, key, bytes, count);
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    progress_update(&((struct kernel_test *)user)->report.progress, what, done, total);
    return interrupt_pending();
}

static bool on_take(void *user, uint32_t program) {
    return helpers_take(((struct kernel_test *)user)->helpers, program);
}

/* The first wrong case, for the driver's makers. That it cannot be written is said, and costs no result. */
static void reproduce(struct kernel_test *k, const struct twin_verdict *v) {
    struct moxie_failure failure = {0};
    progress_end(&k->report.progress);
    if (!path_make_folder(k->reproduce)) {
        report_tool("%s: %s", k->reproduce, strerror(errno));
    } else if (twin_reproduce(k->reproduce, v, k->t.device, &k->facts, &failure) != MOXIE_OK) {
        report_failure(&failure);
    } else {
        report_note("%s: what was wrong, and a program that shows it", k->reproduce);
    }
    k->reproduce = NULL;
}

static void on_verdict(void *user, const struct twin_verdict *v) {
    struct kernel_test *k = user;
    kernel_report_add(&k->report, v);
    if (v->error != MOXIE_OK && k->print) {
        kernel_report_wrong(&k->report, v);
    }
    if (v->difference && k->reproduce) {
        reproduce(k, v);
    }
}

bool kernel_test_knows(const char *names) {
    for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        struct twin_kernel k;
        bool found = false;
        for (size_t i = 0; !found && twin_kernel(i, &k); i++) {
            found = strlen(k.kernel) == strcspn(at, ",") && strncmp(k.kernel, at, strcspn(at, ",")) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

json_t *kernel_test_run(struct kernel_test *k, int *status) {
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    struct moxie_failure failure = {0};
    callbacks.user = k->t.user = k;
    callbacks.cache_load = on_cache_load;
    callbacks.cache_store = on_cache_store;
    callbacks.progress = on_progress;
    k->t.callbacks = &callbacks;
    k->t.each = on_verdict;
    k->t.tunables = &k->tune.tunables;
    if (k->helpers) {
        k->t.take = on_take;
        k->t.backwards = k->helpers->helper;
    }
    kernel_cache_open(&k->cache);
    k->report.list = json_array();
    enum moxie_error code = twin_selftest(&k->t, &k->facts, &failure);
    progress_end(&k->report.progress);
    k->t.callbacks = NULL;
    if (code != MOXIE_OK) {
        json_decref(k->report.list);
        *status = report_failure(&failure);
        return NULL;
    }
    return json_pack("{s:i, s:i, s:o}", "cases", (int)k->report.cases, "wrong", (int)k->report.wrong, "kernels",
                     k->report.list);
}
