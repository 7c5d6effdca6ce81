/* SPDX-License-Identifier: Apache-2.0
 *
 * A conformance report as Markdown: one table that can be pasted into a driver's bug tracker. */
#include <stdio.h>
#include <string.h>

#include "tools/conform.h"

#define WRONG_SHOWN 8 /* kernels and models in the table; the report has all */

static const char *text(const json_t *object, const char *name) {
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : "?";
}

static json_int_t number(const json_t *object, const char *name) {
    return json_integer_value(json_object_get(object, name));
}

/* A cell: nothing in it may end it. */
static void cell(const char *s) {
    for (; *s; s++) {
        fputs(*s == '|' ? "\\|" : *s == '\n' ? " " : (const char[2]){*s, 0}, stdout);
    }
}

static void row(const char *name, const char *value) {
    printf("| %s | ", name);
    cell(value);
    printf(" |\n");
}

static void limits(const json_t *environment) {
    const char *key;
    json_t *value;
    bool first = true;
    printf("| limits | ");
    json_object_foreach((json_t *)environment, key, value) {
        if (json_is_integer(value)) {
            printf("%s%s %lld", first ? "" : ", ", strncmp(key, "CL_DEVICE_", 10) == 0 ? key + 10 : key,
                   (long long)json_integer_value(value));
            first = false;
        }
    }
    printf(" |\n");
}

static void wrong_kernels(const json_t *kernels) {
    size_t index, shown = 0;
    json_t *one;
    json_array_foreach(json_object_get(kernels, "kernels"), index, one) {
        const json_t *d = json_object_get(one, "difference");
        if (strcmp(text(one, "result"), "ok") == 0 || shown++ >= WRONG_SHOWN) {
            continue;
        }
        printf("| wrong kernel | `%s`, %s, %s: ", text(one, "kernel"), text(one, "program"), text(one, "form"));
        if (json_is_object(d)) {
            printf("`%s[%lld]` of %lld is 0x%s, right is 0x%s (%lld elements differ; ", text(d, "argument_name"),
                   (long long)number(d, "element"), (long long)number(d, "elements"), text(d, "found"),
                   text(d, "expected"), (long long)number(d, "wrong"));
            cell(text(d, "shape"));
            printf(") |\n");
        } else {
            cell(text(one, "what"));
            printf(" |\n");
        }
    }
    if (shown > WRONG_SHOWN) {
        printf("| | and %zu more |\n", shown - WRONG_SHOWN);
    }
}

/* Runs of a model whose digest is not the expected one. */
static size_t wrong_runs(const json_t *vector) {
    size_t index, wrong = 0;
    json_t *run;
    json_array_foreach(json_object_get(vector, "runs"), index, run) {
        char count[24];
        snprintf(count, sizeof(count), "%lld", (long long)number(run, "tokens"));
        const char *expected = json_string_value(json_object_get(json_object_get(vector, "expected"), count));
        wrong += !expected || strcmp(expected, text(run, "sha256")) != 0;
    }
    return wrong;
}

static void models(const json_t *vectors) {
    size_t index, runs = 0, wrong = 0, shown = 0;
    json_t *one;
    json_array_foreach(vectors, index, one) {
        runs += json_array_size(json_object_get(one, "runs"));
        wrong += strcmp(text(one, "result"), "ok") != 0;
    }
    printf("| models | %zu tiny models, %zu runs: ", json_array_size(vectors), runs);
    printf(wrong ? "**%zu models differ** |\n" : "the reference's logits, bit for bit |\n", wrong);
    json_array_foreach(vectors, index, one) {
        if (strcmp(text(one, "result"), "ok") != 0 && shown++ < WRONG_SHOWN) {
            printf("| model | %s: %s, %zu of %zu runs |\n", text(one, "model"), text(one, "result"), wrong_runs(one),
                   json_array_size(json_object_get(one, "runs")));
        }
    }
    if (shown > WRONG_SHOWN) {
        printf("| | and %zu more |\n", shown - WRONG_SHOWN);
    }
}

void conform_markdown(const json_t *report) {
    const json_t *environment = json_object_get(report, "environment"), *kernels = json_object_get(report, "kernels");
    const char *fingerprint = json_string_value(json_object_get(report, "fingerprint"));
    const char *expected = json_string_value(json_object_get(report, "expected_fingerprint"));
    const char *refused = json_string_value(json_object_get(report, "refused"));
    printf("| Moxie conformance | **%s** |\n|---|---|\n", text(report, "result"));
    if (refused) {
        row("refused", refused);
    }
    printf("| fingerprint | `%s` |\n", fingerprint ? fingerprint : "none");
    if (!fingerprint || !expected || strcmp(fingerprint, expected) != 0) {
        printf("| expected | `%s` |\n", expected ? expected : "none");
    }
    row("platform", text(environment, "CL_PLATFORM_NAME"));
    row("platform version", text(environment, "CL_PLATFORM_VERSION"));
    row("device", text(environment, "CL_DEVICE_NAME"));
    row("driver", text(environment, "CL_DRIVER_VERSION"));
    row("OpenCL", text(environment, "CL_DEVICE_VERSION"));
    row("host", text(report, "host"));
    const char *model = json_string_value(json_object_get(report, "model"));
    printf("| run | Moxie %s, %s, %.0f s%s%s%s%s", text(report, "moxie"), text(report, "date"),
           json_number_value(json_object_get(report, "seconds")),
           json_is_true(json_object_get(report, "small")) ? ", --small" : "", model ? ", --model " : "",
           model ? model : "", json_is_true(json_object_get(report, "portable")) ? ", --portable" : "");
    if (json_is_string(json_object_get(report, "tune"))) {
        printf(", --tune %s", text(report, "tune"));
    }
    if (number(report, "threads")) {
        printf(", --threads %lld", (long long)number(report, "threads"));
    }
    printf(" |\n");
    if (json_is_object(kernels)) {
        printf("| kernels | %zu programs, %lld cases: ", json_array_size(json_object_get(kernels, "kernels")),
               (long long)number(kernels, "cases"));
        printf(number(kernels, "wrong") ? "**%lld wrong** |\n" : "as their scalar twins, bit for bit |\n",
               (long long)number(kernels, "wrong"));
        wrong_kernels(kernels);
    }
    models(json_object_get(report, "vectors"));
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(report, "bundles"), index, one) {
        printf("| bundle | %s: `%s` |\n", text(one, "model"),
               text(json_array_get(json_object_get(one, "runs"), 0), "sha256"));
    }
    limits(environment);
    row("extensions", text(environment, "CL_DEVICE_EXTENSIONS"));
}
