/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "opencl/known_inputs.h"
#include "opencl/sequence.h"
#include "opencl/tunables.h"
#include "runtime/crypto.h"
#include "twin/cases.h"
#include "twin/compare.h"

/* ---- What the device's layer calls ---- */

static const struct moxie_callbacks *callbacks_of(void *user) {
    static const struct moxie_callbacks none = MOXIE_CALLBACKS;
    const struct moxie_callbacks *c = ((struct twin_tester *)user)->t->callbacks;
    return c ? c : &none;
}

static void on_log(void *user, const char *text) {
    struct twin_tester *r = user;
    size_t used = strlen(r->log);
    snprintf(r->log + used, sizeof r->log - used, "%s\n", text);
}

static size_t on_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    const struct moxie_callbacks *c = callbacks_of(user);
    return c->cache_load ? c->cache_load(c->user, key, bytes, max) : 0;
}

static void on_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    const struct moxie_callbacks *c = callbacks_of(user);
    if (c->cache_store)
        c->cache_store(c->user, key, bytes, count);
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    const struct moxie_callbacks *c = callbacks_of(user);
    return c->progress ? c->progress(c->user, what, done, total) : 0;
}

/* ---- Programs ---- */

/* Every kernel of the list that is in `program`: those that have its key, or, in a list, those that it has room for. */
static bool contains(const struct mx_program_key *program, const struct twin_kernel *k) {
    struct mx_program_key both = *program;
    if (strcmp(program->kernel_file, "sequence") == 0)
        return strcmp(k->kernel, "mx_hash_leaves") != 0 && mx_sequence_join(&both, &k->key) &&
               both.format == program->format && both.kv == program->kv;
    return strcmp(k->key.kernel_file, program->kernel_file) == 0 && k->key.format == program->format &&
           k->key.group == program->group && k->key.kv == program->kv;
}

/* Is the kernel one of those that were asked for? */
static bool asked_for(const struct twin_tester *r, const char *kernel) {
    const size_t n = strlen(kernel);
    const char *at = r->t->kernels;
    while (at && *at && (strncmp(at, kernel, n) != 0 || (at[n] && at[n] != ','))) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return !r->t->kernels || (at && *at);
}

/* Is any kernel of the program? */
static bool any_asked_for(const struct twin_tester *r, const struct mx_program_key *program) {
    struct twin_kernel k;
    for (size_t i = 0; twin_kernel(i, &k); i++)
        if (contains(program, &k) && asked_for(r, k.kernel))
            return true;
    return false;
}

static void name_form(const struct twin_tester *r, const struct mx_program *p, char name[64]) {
    snprintf(name, 64, "%s, %s%s", mx_form_name(p->dot, p->half_by_integer),
             mx_in_lanes(&r->cl.tunables) ? "lanes" : "vectors",
             strcmp(p->key.kernel_file, "sequence") == 0 ? ", in a list" : "");
}

/* Builds `p` and runs all its kernels; `right`: every one is. An error: the device can no longer be used. */
static enum moxie_error test_program(struct twin_tester *r, struct mx_program *p, bool *right,
                                     struct moxie_failure *failure) {
    const uint32_t mark = r->cl.n_objects;
    struct twin_kernel k;
    struct moxie_failure why;
    r->log[0] = '\0';
    enum moxie_error built = mx_program_text(&r->cl, p, &r->text, &why), e = MOXIE_OK;
    built = built ? built : mx_program_build(&r->cl, p, &why);
    *right = true;
    for (size_t i = 0; !e && twin_kernel(i, &k); i++) {
        struct twin_verdict v = {
            .of = k, .program = p->key, .error = built, .failure = &why, .build_log = r->log, .text = &r->text};
        if (!contains(&p->key, &k) || !asked_for(r, k.kernel))
            continue;
        name_form(r, p, v.form);
        if (built)
            r->t->each(r->t->user, &v);
        else
            e = twin_compare(r, p, &v, &why);
        *right = *right && !v.error;
    }
    if (!built) {
        r->cl.program[0] = *p; /* so that its binary is kept */
        r->cl.n_programs = 1;
        mx_programs_store(&r->cl);
        r->cl.n_programs = 0;
    }
    mx_cl_release_to(&r->cl, mark);
    if (e && failure)
        *failure = why;
    return e;
}

/* The program in the forms that the library would use: the fastest and, when that is wrong, what takes its place. */
static enum moxie_error test_forms(struct twin_tester *r, const struct mx_program_key *key,
                                   struct moxie_failure *failure) {
    struct mx_program form = {.key = *key, .dot = r->cl.facts.dot};
    enum moxie_error e;
    bool right;
    do {
        struct mx_program p = form;
        e = test_program(r, &p, &right, failure);
    } while (!e && !right && mx_program_distrust(&form));
    return e;
}

/* In a small run one group size of each integer format: those of the small run's models (tools/vectors.c), which are
 * compiled anyway, and what else there is. */
static bool wanted(const struct twin_tester *r, const struct mx_program_key *key) {
    static const uint32_t small[MX_KF_I8 + 1] = {[MX_KF_I4] = 32, [MX_KF_I4Z] = 64, [MX_KF_I4M] = 128, [MX_KF_I8] = 32};
    const bool integer = key->format >= MX_KF_I4 && key->format <= MX_KF_I8;
    return !r->t->small || !integer || key->group == small[key->format];
}

enum { PROGRAMS_MAX = 96 };

struct programs {
    struct mx_program_key key[PROGRAMS_MAX];
    uint32_t n;
};

static void add_program(const struct twin_tester *r, struct programs *all, const struct mx_program_key *key) {
    if (!any_asked_for(r, key))
        return;
    if (all->n < PROGRAMS_MAX)
        all->key[all->n] = *key;
    all->n++;
}

/* Lists (opencl/sequence.h) with each format of weights and each type of keys and values, or none, which a model's
 * first list may have; their parts are the text of the kernels themselves, so that the other groups bring nothing
 * new. */
static void add_lists(const struct twin_tester *r, struct programs *all) {
    static const uint32_t kv[] = {
        [MX_KF_I4] = MX_KF_KV_F16, [MX_KF_I4Z] = MX_KF_KV_I8,  [MX_KF_I4M] = MX_KF_KV_F16, [MX_KF_I8] = MX_KF_KV_I8,
        [MX_KF_BF16] = 0,          [MX_KF_F16] = MX_KF_KV_F16, [MX_KF_F32] = MX_KF_KV_F32};
    for (uint32_t format = MX_KF_I4; format <= MX_KF_F32; format++) {
        const bool integer = format <= MX_KF_I8;
        const struct mx_program_key key = {
            .kernel_file = "linear", .format = format, .group = integer ? 32 : 0, .kv = kv[format]};
        struct mx_program_key list = {.kernel_file = NULL};
        if (mx_sequence_join(&list, &key) && (!r->t->small || format == MX_KF_I4 || format == MX_KF_F32))
            add_program(r, all, &list);
    }
}

static enum moxie_error test_all(struct twin_tester *r, struct moxie_failure *failure) {
    struct programs all = {.n = 0};
    struct twin_kernel k;
    struct mx_program_key last = {.kernel_file = ""};
    enum moxie_error e = MOXIE_OK;
    for (size_t i = 0; twin_kernel(i, &k); i++) {
        if (!contains(&last, &k) && wanted(r, &k.key)) /* kernels of one program stand side by side */
            add_program(r, &all, &k.key);
        last = k.key;
    }
    if (!r->t->alone && mx_sequence_device(&r->cl.facts, &r->cl.tunables))
        add_lists(r, &all);
    if (all.n > PROGRAMS_MAX)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "%u programs to test, room for %u", all.n,
                       PROGRAMS_MAX);
    for (uint32_t i = 0; !e && i < all.n; i++) {
        const uint32_t p = r->t->backwards ? all.n - 1 - i : i;
        if (!r->t->take || r->t->take(r->t->user, p))
            e = test_forms(r, &all.key[p], failure);
        e = e ? e : mx_progress(&r->cl, "selftest", i + 1, all.n, failure);
    }
    return e;
}

/* ---- The whole ---- */

static enum moxie_error run(struct twin_tester *r, struct moxie_device_facts *facts, struct moxie_failure *failure) {
    r->host = aligned_alloc(4096, TWIN_IMAGE_BYTES);
    r->scratch = malloc(TWIN_SCRATCH_BYTES);
    r->before = malloc(TWIN_IMAGE_BYTES);
    r->after = malloc(TWIN_IMAGE_BYTES);
    r->expected = malloc(TWIN_IMAGE_BYTES);
    if (!r->host || !r->scratch || !r->before || !r->after || !r->expected)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "out of memory");
    enum moxie_error e = mx_cl_open(&r->cl, r->t->device, r->objects, TWIN_OBJECTS, r->scratch, TWIN_SCRATCH_BYTES,
                                    &r->callbacks, r->t->tunables, failure);
    if (e)
        return e;
    *facts = r->cl.facts;
    e = mx_cl_region(&r->cl, r->host, TWIN_IMAGE_BYTES, &r->memory, failure);
    e = e ? e : test_all(r, failure);
    mx_cl_close(&r->cl);
    return e;
}

enum moxie_error twin_selftest(const struct twin_selftest *t, struct moxie_device_facts *facts,
                               struct moxie_failure *failure) {
    struct twin_tester *r = calloc(1, sizeof *r);
    if (!r)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "out of memory");
    r->t = t;
    r->callbacks = (struct mx_callbacks){.user = r,
                                         .cache_load = on_load,
                                         .cache_store = on_store,
                                         .progress = on_progress,
                                         .log = on_log,
                                         .sha256 = mx_sha256};
    enum moxie_error e = run(r, facts, failure);
    free(r->host);
    free(r->scratch);
    free(r->before);
    free(r->after);
    free(r->expected);
    free(r);
    return e;
}
