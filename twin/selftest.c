/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "opencl/known_answers_check.h"
#include "opencl/known_inputs.h"
#include "runtime/crypto.h"
#include "twin/cases.h"
#include "twin/twin.h"

enum { OBJECTS = MX_CL_OWN_OBJECTS + MX_MAX_ARGS, SCRATCH_BYTES = 4 << 20, FORMS = 3 };

struct tester {
    const struct twin_selftest *t;
    struct mx_cl cl;
    struct mx_callbacks callbacks;
    struct mx_object objects[OBJECTS];
    cl_mem memory;
    uint8_t *host, *scratch;            /* of the device */
    uint8_t *before, *after, *expected; /* images of a case */
    char log[SCRATCH_BYTES];            /* of the last build */
    struct mx_program_text text;
};

static void on_log(void *user, const char *text) {
    struct tester *r = user;
    size_t used = strlen(r->log);
    snprintf(r->log + used, sizeof r->log - used, "%s\n", text);
}

static size_t on_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    const struct moxie_callbacks *c = ((struct tester *)user)->t->callbacks;
    return c && c->cache_load ? c->cache_load(c->user, key, bytes, max) : 0;
}

static void on_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    const struct moxie_callbacks *c = ((struct tester *)user)->t->callbacks;
    if (c && c->cache_store)
        c->cache_store(c->user, key, bytes, count);
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    const struct moxie_callbacks *c = ((struct tester *)user)->t->callbacks;
    return c && c->progress ? c->progress(c->user, what, done, total) : 0;
}

/* ---- Forms ---- */

/* The forms of one kernel's program that the library would use: the fastest, and what takes its place when that is
 * wrong. A form that would be the same code as another is left out. */
static uint32_t forms_of(const struct tester *r, const struct twin_kernel *k, struct mx_program form[FORMS]) {
    const struct mx_program_key *key = &k->key;
    const bool integer = key->format >= MX_KF_I4 && key->format <= MX_KF_I8;
    const bool product = integer && strcmp(k->kernel, "mx_linear") == 0;
    const bool halves = key->format == MX_KF_F16 || key->kv == MX_KF_KV_F16 ||
                        (integer && key->scale == MX_KF_SCALE_F16 && key->group == 32);
    struct mx_program p = {.key = *key, .dot = r->cl.facts.dot};
    uint32_t n = 0;
    form[n++] = p;
    if (p.dot != MX_DOT_PORTABLE && mx_program_distrust(&p) && product)
        form[n++] = p;
    if (halves && mx_program_distrust(&p))
        form[n++] = p;
    return n;
}

static void name_form(const struct tester *r, const struct mx_program *p, const char *kernel, char name[64]) {
    const bool product = strcmp(kernel, "mx_linear") == 0 && p->key.format <= MX_KF_I8;
    snprintf(name, 64, "%s, %s", mx_form_name(product ? p->dot : MX_DOT_PORTABLE, p->half_by_integer),
             mx_lane_group(&r->cl) ? "lanes" : "vectors");
}

/* ---- Cases ---- */

/* Case `run`: those of the known answers come first. */
static bool make(struct tester *r, const struct twin_kernel *k, uint32_t run, struct mx_case *c) {
    uint32_t known = 0;
    while (known <= run && mx_case_make(&k->key, k->kernel, known, r->before, c))
        known++;
    return known > run || (!(r->t->small && known > 0) && twin_case(&k->key, k->kernel, run - known, r->before, c));
}

/* Is it one of the places of a tensor, which say nothing about the shape? */
static bool is_place(const char *name) {
    static const char *const places[] = {"first_window", "segment", "data", "scale", "extra"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strcmp(name, places[i]) == 0)
            return true;
    return false;
}

static void describe(const struct mx_case *c, const struct twin_parameter *parameter, char *text, size_t size) {
    static const char *const counts[MX_COUNTS] = {
        [MX_TOKENS] = "rows",     [MX_LOGITS] = "rows",   [MX_JOBS] = "jobs",
        [MX_ENTRIES] = "entries", [MX_COPIES] = "copies", [MX_LEAVES] = "sets"};
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < MX_COUNTS && used < size; i++)
        if (counts[i] && c->counts[i])
            used += (size_t)snprintf(text + used, size - used, "%s%u %s", used ? ", " : "", c->counts[i], counts[i]);
    for (uint32_t i = 0; i < c->n_args && used < size; i++)
        if (c->arg[i].kind == MX_ARG_U32 && !is_place(parameter[i].name))
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s %u", used ? ", " : "", parameter[i].name, c->arg[i].u);
}

static uint32_t pattern(const uint8_t *image, size_t at, uint32_t bytes) {
    uint32_t v = 0;
    memcpy(&v, image + at, bytes);
    return v;
}

/* Fills in the first element that differs. The images do differ. */
static void find(const struct tester *r, const struct twin_kernel *k, const struct mx_case *c,
                 struct twin_case_failure *d) {
    struct twin_parameter parameter[MX_MAX_ARGS];
    memset(parameter, 0, sizeof parameter);
    twin_parameters(k, parameter);
    describe(c, parameter, d->shape, sizeof d->shape);
    for (uint32_t i = 0; i < c->n_args && !d->wrong; i++) {
        if (c->arg[i].kind != MX_ARG_MEM)
            continue;
        const uint32_t bytes = twin_element_bytes(k, &parameter[i]), n = c->arg[i].bytes / bytes;
        for (uint32_t j = 0; j < n; j++) {
            const size_t at = c->arg[i].offset + (size_t)j * bytes;
            if (memcmp(r->after + at, r->expected + at, bytes) == 0 || d->wrong++)
                continue;
            d->where = parameter[i];
            d->argument = i;
            d->element = j;
            d->elements = n;
            d->bits = 8 * bytes;
            d->expected = pattern(r->expected, at, bytes);
            d->found = pattern(r->after, at, bytes);
        }
    }
    for (uint32_t at = 0; !d->wrong; at += 4) { /* between the arguments: nobody may write there */
        if (memcmp(r->after + at, r->expected + at, 4) == 0)
            continue;
        d->element = at / 4;
        d->elements = (uint32_t)c->image_bytes / 4;
        d->bits = 32;
        d->wrong = 1;
        d->expected = pattern(r->expected, at, 4);
        d->found = pattern(r->after, at, 4);
    }
}

/* The range of a launch, as mx_case_run has it. */
static void range(struct tester *r, const struct mx_case *c, struct twin_case_failure *d) {
    struct mx_launch launch = {.kernel = NULL};
    mx_launch_grid(&r->cl, &launch, &c->grid);
    d->dims = mx_launch_range(&launch, c->counts, d->global, d->local);
}

/* All cases of one kernel in one form. */
static enum moxie_error compare(struct tester *r, struct mx_program *p, struct twin_verdict *v,
                                struct twin_case_failure *d, struct moxie_failure *failure) {
    struct mx_case c;
    enum moxie_error e = MOXIE_OK;
    for (uint32_t run = 0; !e && make(r, &v->of, run, &c); run++) {
        memcpy(r->after, r->before, c.image_bytes);
        memcpy(r->expected, r->before, c.image_bytes);
        if (!twin_run_case(&v->of.key, v->of.kernel, &c, r->expected))
            return mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET, "kernel %s has no twin", v->of.kernel);
        e = mx_case_run(&r->cl, r->memory, p, v->of.kernel, &c, r->after, failure);
        v->cases++;
        if (e || memcmp(r->after, r->expected, c.image_bytes) == 0)
            continue;
        *d = (struct twin_case_failure){.c = &c, .before = r->before, .wanted = r->expected};
        find(r, &v->of, &c, d);
        range(r, &c, d);
        v->difference = d;
        v->error = MOXIE_ERROR_KNOWN_ANSWER;
        mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET,
                "kernel %s (%s) gives wrong bits: %s%s[%u] is %0*x, the twin has %0*x (%s)", v->of.kernel, v->form,
                d->where.name[0] ? d->where.name : "memory outside of its arguments", d->where.name[0] ? "" : " word ",
                d->element, (int)d->bits / 4, d->found, (int)d->bits / 4, d->expected, d->shape);
        r->t->each(r->t->user, v); /* while the case is there */
        return MOXIE_OK;
    }
    v->error = e;
    r->t->each(r->t->user, v);
    return e;
}

/* One kernel in one form. An error: the device can no longer be used. */
static enum moxie_error test_form(struct tester *r, const struct twin_kernel *k, struct mx_program *p,
                                  struct moxie_failure *failure) {
    struct twin_case_failure difference;
    struct twin_verdict v = {.of = *k, .failure = failure, .build_log = r->log};
    const uint32_t mark = r->cl.n_objects;
    r->log[0] = '\0';
    name_form(r, p, k->kernel, v.form);
    enum moxie_error e = mx_program_text(&r->cl, p, &r->text, failure);
    v.text = e ? NULL : &r->text;
    e = e ? e : mx_program_build(&r->cl, p, failure);
    if (e) {
        v.error = e;
        r->t->each(r->t->user, &v);
    } else {
        r->cl.program[0] = *p; /* so that its binary is kept */
        r->cl.n_programs = 1;
        e = compare(r, p, &v, &difference, failure);
        mx_programs_store(&r->cl);
        r->cl.n_programs = 0;
    }
    mx_cl_release_to(&r->cl, mark);
    return e == MOXIE_ERROR_DEVICE_LOST ? e : MOXIE_OK;
}

/* In a small run one of the six kinds of each integer format. */
static bool wanted(const struct tester *r, const struct twin_kernel *k) {
    const bool integer = k->key.format >= MX_KF_I4 && k->key.format <= MX_KF_I8;
    return !r->t->small || !integer ||
           (k->key.group == 32u << k->key.format % 3 && k->key.scale == 1 + k->key.format % 2);
}

static enum moxie_error test_all(struct tester *r, struct moxie_failure *failure) {
    struct twin_kernel k;
    size_t total = 0;
    enum moxie_error e = MOXIE_OK;
    while (twin_kernel(total, &k))
        total++;
    for (size_t i = 0; !e && twin_kernel(i, &k); i++) {
        struct mx_program form[FORMS];
        const uint32_t n = wanted(r, &k) ? forms_of(r, &k, form) : 0;
        for (uint32_t f = 0; !e && f < n; f++)
            e = test_form(r, &k, &form[f], failure);
        e = e ? e : mx_progress(&r->cl, "selftest", i + 1, total, failure);
    }
    return e;
}

static enum moxie_error run(struct tester *r, struct moxie_device_facts *facts, struct moxie_failure *failure) {
    r->host = aligned_alloc(4096, TWIN_IMAGE_BYTES);
    r->scratch = malloc(SCRATCH_BYTES);
    r->before = malloc(TWIN_IMAGE_BYTES);
    r->after = malloc(TWIN_IMAGE_BYTES);
    r->expected = malloc(TWIN_IMAGE_BYTES);
    if (!r->host || !r->scratch || !r->before || !r->after || !r->expected)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "out of memory");
    enum moxie_error e = mx_cl_open(&r->cl, r->t->device, r->objects, OBJECTS, r->scratch, SCRATCH_BYTES, &r->callbacks,
                                    r->t->portable, failure);
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
    struct tester *r = calloc(1, sizeof *r);
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
