/* SPDX-License-Identifier: Apache-2.0
 *
 * Where two devices part, in words: first what was run, then kernels, then models. */
#include <stdio.h>
#include <string.h>

#include "tools/conform.h"

enum { KV_BLOCK = 64 };

struct pair {
    const char *name[2];
    const json_t *report[2];
    uint32_t differences;
};

static const char *text(const json_t *object, const char *name) {
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : "nothing";
}

/* What stands for mine[at] in the list of the other report: of several that are named alike, as bundles of one model
 * may be and a kernel in several lists is, the one at the same place among them. */
static const json_t *find_like(const json_t *list, const json_t *mine, size_t at,
                               bool (*alike)(const json_t *a, const json_t *b)) {
    const json_t *like = json_array_get(mine, at);
    size_t before = 0;
    for (size_t i = 0; i < at; i++) {
        before += alike(json_array_get(mine, i), like);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (alike(json_array_get(list, i), like) && before-- == 0) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

/* ---- What was run ---- */

/* In front of the model of a report that has only one. */
static const char *only(const char *model) {
    return model ? "only " : "all models";
}

/* False when the two reports are not about the same thing. */
static bool comparable(const struct pair *p) {
    const bool small[2] = {json_is_true(json_object_get(p->report[0], "small")),
                           json_is_true(json_object_get(p->report[1], "small"))};
    const char *const model[2] = {json_string_value(json_object_get(p->report[0], "model")),
                                  json_string_value(json_object_get(p->report[1], "model"))};
    for (int i = 0; i < 2; i++) {
        if (!json_is_string(json_object_get(p->report[i], "fingerprint"))) {
            printf("Cannot be compared: there is no fingerprint in %s, not everything ran.\n", p->name[i]);
            return false;
        }
    }
    const bool same = small[0] == small[1] && strcmp(model[0] ? model[0] : "", model[1] ? model[1] : "") == 0;
    if (small[0] != small[1]) {
        printf("Cannot be compared: %s is a small run, the other is not.\n", p->name[small[0] ? 0 : 1]);
    } else if (!same) {
        printf("Cannot be compared: %s ran %s%s, the other %s%s.\n", p->name[0], only(model[0]),
               model[0] ? model[0] : "", only(model[1]), model[1] ? model[1] : "");
    } else if (strcmp(text(p->report[0], "moxie"), text(p->report[1], "moxie")) != 0) {
        printf("Made by different versions of Moxie (%s and %s): models and cases may be others.\n",
               text(p->report[0], "moxie"), text(p->report[1], "moxie"));
    }
    return same;
}

static void introduce(const struct pair *p) {
    for (int i = 0; i < 2; i++) {
        const json_t *e = json_object_get(p->report[i], "environment");
        printf("%s: %s, %s, driver %s: %s\n", p->name[i], text(e, "CL_PLATFORM_NAME"), text(e, "CL_DEVICE_NAME"),
               text(e, "CL_DRIVER_VERSION"), text(p->report[i], "result"));
    }
}

/* ---- Kernels ---- */

static bool same_kernel(const json_t *a, const json_t *b) {
    return strcmp(text(a, "kernel"), text(b, "kernel")) == 0 && strcmp(text(a, "program"), text(b, "program")) == 0 &&
           strcmp(text(a, "form"), text(b, "form")) == 0;
}

/* Kernels that are wrong on side i; those that are as wrong on the other are said to be. */
static void compare_kernels(struct pair *p, int i) {
    const json_t *mine = json_object_get(json_object_get(p->report[i], "kernels"), "kernels");
    const json_t *others = json_object_get(json_object_get(p->report[1 - i], "kernels"), "kernels");
    size_t index;
    json_t *one;
    json_array_foreach((json_t *)mine, index, one) {
        if (strcmp(text(one, "result"), "ok") == 0) {
            continue;
        }
        const json_t *other = find_like(others, mine, index, same_kernel);
        const bool both = other && strcmp(text(other, "result"), "ok") != 0;
        if (both && i == 1) {
            continue;
        }
        const json_t *d = json_object_get(one, "difference");
        printf("Kernel %s (%s; %s) is wrong on %s%s: ", text(one, "kernel"), text(one, "program"), text(one, "form"),
               p->name[i],
               both    ? " and on the other"
               : other ? ", right on the other"
                       : ", not used on the other");
        if (json_is_object(d)) {
            printf("%s[%lld] is %s, right is %s (%s).\n", text(d, "argument_name"),
                   (long long)json_integer_value(json_object_get(d, "element")), text(d, "found"), text(d, "expected"),
                   text(d, "shape"));
        } else {
            printf("%s.\n", text(one, "what"));
        }
        p->differences++;
    }
}

/* ---- Models ---- */

static bool same_model(const json_t *a, const json_t *b) {
    return strcmp(text(a, "model"), text(b, "model")) == 0;
}

/* The first position of the longest prompt at which the logits differ; -1: none. */
static long first_row(const json_t *a, const json_t *b) {
    const json_t *rows[2] = {json_object_get(a, "rows"), json_object_get(b, "rows")};
    for (size_t i = 0; i < json_array_size(rows[0]) && i < json_array_size(rows[1]); i++) {
        const char *x = json_string_value(json_array_get(rows[0], i)),
                   *y = json_string_value(json_array_get(rows[1], i));
        if (!x || !y || strcmp(x, y) != 0) {
            return (long)i;
        }
    }
    return -1;
}

static json_int_t number(const json_t *run, const char *name) {
    return json_integer_value(json_object_get(run, name));
}

/* Do the runs of one report agree among themselves? */
static bool steady(const json_t *model) {
    const json_t *runs = json_object_get(model, "runs");
    for (size_t i = 1; i < json_array_size(runs); i++) {
        const json_t *before = json_array_get(runs, i - 1), *run = json_array_get(runs, i);
        if (number(before, "tokens") == number(run, "tokens") &&
            strcmp(text(before, "sha256"), text(run, "sha256")) != 0) {
            return false;
        }
    }
    return true;
}

static void compare_model(struct pair *p, const char *kind, const json_t *a, const json_t *b) {
    const json_t *of[2] = {a, b}, *runs[2] = {json_object_get(a, "runs"), json_object_get(b, "runs")};
    const size_t n = json_array_size(runs[0]);
    size_t wrong = 0, first = 0;
    if (strcmp(text(a, "bundle_sha256"), text(b, "bundle_sha256")) != 0) {
        printf("%s %s: the bundles themselves differ, so the packers do: nothing is said about the devices.\n", kind,
               text(a, "model"));
        p->differences++;
        return;
    }
    if (n != json_array_size(runs[1])) {
        printf("%s %s: %zu runs and %zu.\n", kind, text(a, "model"), n, json_array_size(runs[1]));
        p->differences++;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text(json_array_get(runs[0], i), "sha256"), text(json_array_get(runs[1], i), "sha256")) != 0) {
            first = wrong++ ? first : i;
        }
    }
    if (!wrong) {
        return;
    }
    const json_t *run = json_array_get(runs[0], first);
    const long row = first_row(a, b);
    p->differences++;
    printf("%s %s: %zu of %zu runs differ, first %lld tokens, batch %lld, ", kind, text(a, "model"), wrong, n,
           (long long)number(run, "tokens"), (long long)number(run, "batch"));
    if (number(run, "chunk")) {
        printf("chunks of %lld.", (long long)number(run, "chunk"));
    } else {
        printf("all at once.");
    }
    if (row >= 0) {
        printf(" Logits part at position %ld, KV block %ld.", row, row / KV_BLOCK);
    }
    for (int i = 0; i < 2; i++) {
        if (!steady(of[i])) {
            printf(" On %s they depend on how the prompt is fed.", p->name[i]);
        }
    }
    printf("\n");
}

static void compare_models(struct pair *p, const char *member, const char *kind) {
    const json_t *list[2] = {json_object_get(p->report[0], member), json_object_get(p->report[1], member)};
    for (int i = 0; i < 2; i++) {
        size_t index;
        json_t *one;
        json_array_foreach((json_t *)list[i], index, one) {
            const json_t *other = find_like(list[1 - i], list[i], index, same_model);
            if (!other) {
                printf("%s %s is in %s only.\n", kind, text(one, "model"), p->name[i]);
                p->differences++;
            } else if (i == 0) {
                compare_model(p, kind, one, other);
            }
        }
    }
}

bool conform_compare(const char *a_path, const json_t *a, const char *b_path, const json_t *b) {
    struct pair p = {.name = {a_path, b_path}, .report = {a, b}};
    introduce(&p);
    if (!comparable(&p)) {
        return false;
    }
    compare_kernels(&p, 0);
    compare_kernels(&p, 1);
    compare_models(&p, "vectors", "Model");
    compare_models(&p, "bundles", "Bundle");
    if (!p.differences && strcmp(text(a, "fingerprint"), text(b, "fingerprint")) != 0) {
        printf("The fingerprints differ, but no run does: one of the reports is not as it was written.\n");
        p.differences++;
    }
    if (p.differences) {
        printf("%u differences.\n", p.differences);
    } else {
        printf("The same bits everywhere: fingerprint %s.\n", text(a, "fingerprint"));
    }
    return p.differences == 0;
}
