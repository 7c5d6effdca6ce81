/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/kernel_report.h"

#include <stdio.h>
#include <string.h>

#include "tools/tables.h"

void kernel_program_text(const struct twin_verdict *v, char text[80]) {
    const struct mx_program_key *k = &v->program;
    char group[24] = "";
    if (k->group) {
        snprintf(group, sizeof(group), ", group %u", k->group);
    }
    snprintf(text, 80, "%s%s%s%s%s", k->format ? format_name(k->format) : "", group, k->format && k->kv ? ", " : "",
             k->kv ? "keys and values " : "", k->kv ? kv_name(k->kv) : "");
}

/* ---- For programs ---- */

static json_t *difference_json(const struct twin_case_failure *d) {
    char expected[16], found[16];
    snprintf(expected, sizeof(expected), "%0*x", (int)d->bits / 4, d->expected);
    snprintf(found, sizeof(found), "%0*x", (int)d->bits / 4, d->found);
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:s}", "shape", d->shape, "argument_name", d->where.name,
                     "argument", (int)d->argument, "element", (int)d->element, "elements", (int)d->elements, "wrong",
                     (int)d->wrong, "expected", expected, "found", found);
}

static json_t *verdict_json(const struct twin_verdict *v) {
    char program[80];
    kernel_program_text(v, program);
    json_t *one = json_pack("{s:s, s:s, s:s, s:i, s:s}", "kernel", v->of.kernel, "program", program, "form", v->form,
                            "cases", (int)v->cases, "result", v->error == MOXIE_OK ? "ok" : moxie_error_name(v->error));
    if (v->error != MOXIE_OK) {
        json_object_set_new(one, "what", json_string(v->failure->what));
        json_object_set_new(one, "build_log", json_stringn_nocheck(v->build_log, strlen(v->build_log)));
        json_object_set_new(one, "difference", v->difference ? difference_json(v->difference) : json_null());
    }
    return one;
}

/* ---- For people ---- */

void kernel_report_add(struct kernel_report *r, const struct twin_verdict *v) {
    uint32_t i = 0;
    while (i < r->lines && strcmp(r->line[i].kernel, v->of.kernel) != 0) {
        i++;
    }
    if (i == r->lines && r->lines < sizeof(r->line) / sizeof(r->line[0])) {
        snprintf(r->line[r->lines++].kernel, sizeof(r->line[0].kernel), "%s", v->of.kernel);
    }
    r->line[i].forms++;
    r->line[i].cases += v->cases;
    r->line[i].wrong += v->error != MOXIE_OK;
    r->forms++;
    r->cases += v->cases;
    r->wrong += v->error != MOXIE_OK;
    if (r->list) {
        json_array_append_new(r->list, verdict_json(v));
    }
}

void kernel_report_wrong(struct kernel_report *r, const struct twin_verdict *v) {
    char program[80];
    kernel_program_text(v, program);
    progress_end(&r->progress);
    printf("WRONG  %s (%s%s%s)\n", v->of.kernel, program, program[0] ? "; " : "", v->form);
    const struct twin_case_failure *d = v->difference;
    if (!d) {
        printf("  %s\n", v->failure->what);
    } else {
        const int digits = (int)d->bits / 4;
        printf("  shape: %s\n", d->shape);
        if (d->where.name[0]) {
            printf("  first difference: argument %u, %s[%u] of %u: found %0*x, right is %0*x; %u elements differ\n",
                   d->argument, d->where.name, d->element, d->elements, digits, d->found, digits, d->expected,
                   d->wrong);
        } else {
            printf("  it wrote outside of its arguments: word %u of the memory around them became %08x\n", d->element,
                   d->found);
        }
    }
    if (v->build_log[0]) {
        printf("  build log:\n%s\n", v->build_log);
    }
}

void kernel_report_summary(struct kernel_report *r) {
    progress_end(&r->progress);
    for (uint32_t i = 0; i < r->lines; i++) {
        const struct kernel_line *l = &r->line[i];
        printf("%-16s %3u %-8s %5u cases  ", l->kernel, l->forms, l->forms == 1 ? "program" : "programs", l->cases);
        printf(l->wrong ? "%u WRONG\n" : "right\n", l->wrong);
    }
    printf("%u kernels in %u programs, %u cases: ", r->lines, r->forms, r->cases);
    printf(r->wrong ? "%u WRONG\n" : "every bit as the scalar twin has it\n", r->wrong);
}
