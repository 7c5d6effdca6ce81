/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/compare.h"

#include <stdio.h>
#include <string.h>

#include "opencl/known_answers_check.h"
#include "opencl/sequence.h"
#include "twin/cases.h"
#include "twin/twin.h"

/* Case `run`: those of the known answers come first. A small run has the first of them and no others. */
static bool make(struct twin_tester *r, const struct twin_kernel *k, uint32_t run, struct mx_case *c) {
    uint32_t known = 0;
    while (known <= run && mx_case_make(&k->key, k->kernel, known, r->before, c))
        known++;
    return known > run || (!r->t->small && twin_case(&k->key, k->kernel, run - known, r->before, c));
}

/* ---- The first difference ---- */

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

/* Counts the elements of argument i that differ; the first one of all is kept. */
static void look_into(const struct twin_tester *r, const struct twin_kernel *k, const struct mx_case *c, uint32_t i,
                      const struct twin_parameter *p, struct twin_case_failure *d) {
    const uint32_t bytes = twin_element_bytes(k, p), n = c->arg[i].bytes / bytes;
    for (uint32_t j = 0; j < n; j++) {
        const size_t at = c->arg[i].offset + (size_t)j * bytes;
        if (memcmp(r->after + at, r->expected + at, bytes) == 0 || d->wrong++)
            continue;
        d->where = *p;
        d->argument = i;
        d->element = j;
        d->elements = n;
        d->bits = 8 * bytes;
        d->expected = pattern(r->expected, at, bytes);
        d->found = pattern(r->after, at, bytes);
    }
}

/* The images do differ. */
static void find(const struct twin_tester *r, const struct twin_kernel *k, const struct mx_case *c,
                 struct twin_case_failure *d) {
    struct twin_parameter parameter[MX_MAX_ARGS];
    memset(parameter, 0, sizeof parameter);
    twin_parameters(k, parameter);
    describe(c, parameter, d->shape, sizeof d->shape);
    for (uint32_t i = 0; i < c->n_args && !d->wrong; i++)
        if (c->arg[i].kind == MX_ARG_MEM)
            look_into(r, k, c, i, &parameter[i], d);
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

/* ---- What was launched ---- */

static void add_word(struct twin_case_failure *d, uint32_t value) {
    d->set[d->n_set++] = (struct mx_case_arg){.kind = MX_ARG_U32, .u = value};
}

/* The launch as mx_case_run made it. A list lies behind the case in its image. */
static void launched(struct twin_tester *r, const struct mx_program *p, const struct twin_kernel *k,
                     const struct mx_case *c, struct twin_case_failure *d) {
    const bool list = strcmp(p->key.kernel_file, "sequence") == 0;
    const struct mx_grid cores = {.work = MX_WORK_CORES};
    struct mx_launch launch = {.kernel = NULL};
    d->c = c;
    d->before = r->before;
    d->wanted = r->expected;
    d->entry = list ? "mx_sequence" : k->kernel;
    d->image_bytes = c->image_bytes + (list ? MX_SEQUENCE_CASE_BYTES : 0);
    mx_launch_grid(&r->cl, &launch, list ? &cores : &c->grid);
    d->dims = mx_launch_range(&launch, c->counts, d->global, d->local);
    if (!list) {
        memcpy(d->set, c->arg, sizeof c->arg);
        d->n_set = c->n_args;
        return;
    }
    const uint32_t page = (uint32_t)(c->image_bytes / MX_PAGE);
    memcpy(r->before + c->image_bytes, r->after + c->image_bytes, MX_SEQUENCE_CASE_BYTES);
    for (uint32_t i = 0; i < 2 + MX_SEQUENCE_WINDOWS; i++)
        d->set[d->n_set++] = (struct mx_case_arg){.kind = MX_ARG_MEM, .bytes = (uint32_t)d->image_bytes};
    for (uint32_t i = 0; i < 3; i++)
        add_word(d, page + i);
    add_word(d, 0);
    add_word(d, 1);
}

static const char *in_words(const struct twin_case_failure *d, char *words, size_t size) {
    const int digits = (int)d->bits / 4;
    const bool inside = d->where.name[0] != '\0';
    snprintf(words, size, "%s[%u] is %0*x, the twin has %0*x (%s)", inside ? d->where.name : "outside of its arguments",
             d->element, digits, d->found, digits, d->expected, d->shape);
    return words;
}

enum moxie_error twin_compare(struct twin_tester *r, const struct mx_program *p, struct twin_verdict *v,
                              struct moxie_failure *failure) {
    struct mx_case c;
    struct twin_case_failure d = {.wrong = 0};
    char words[320];
    enum moxie_error e = MOXIE_OK;
    for (uint32_t run = 0; !e && !d.wrong && make(r, &v->of, run, &c); run++) {
        memcpy(r->after, r->before, c.image_bytes);
        memcpy(r->expected, r->before, c.image_bytes);
        if (!twin_run_case(&v->of.key, v->of.kernel, &c, r->expected))
            return mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET, "kernel %s has no twin", v->of.kernel);
        e = mx_case_run(&r->cl, r->memory, p, v->of.kernel, &c, r->after, TWIN_IMAGE_BYTES, failure);
        v->cases++;
        if (e || memcmp(r->after, r->expected, c.image_bytes) == 0)
            continue;
        find(r, &v->of, &c, &d);
        launched(r, p, &v->of, &c, &d);
        v->difference = &d;
        v->error = mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET, "kernel %s (%s) gives wrong bits: %s",
                           v->of.kernel, v->form, in_words(&d, words, sizeof words));
    }
    v->error = e ? e : v->error;
    r->t->each(r->t->user, v); /* while the case is there */
    v->difference = NULL;
    return e == MOXIE_ERROR_DEVICE_LOST ? e : MOXIE_OK;
}
