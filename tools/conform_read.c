/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a conformance report that somebody else may have written. */
#define _POSIX_C_SOURCE 200809L // strdup
#include "tools/conform.h"

#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

/* What must be there: in the report, in each model's or bundle's entry, each run of it, each kernel; and of which
 * types, a set of them. */
enum level { REPORT, MODEL, RUN, KERNEL };
#define TYPE(name) (1u << JSON_##name)
#define BOOLEAN (TYPE(TRUE) | TYPE(FALSE))

static const struct {
    enum level level;
    const char *name;
    unsigned types;
} members[] = {
    {REPORT, "moxie", TYPE(STRING)},
    {REPORT, "date", TYPE(STRING)},
    {REPORT, "host", TYPE(STRING)},
    {REPORT, "small", BOOLEAN},
    {REPORT, "portable", BOOLEAN},
    {REPORT, "tune", TYPE(STRING) | TYPE(NULL)},
    {REPORT, "threads", TYPE(INTEGER)},
    {REPORT, "model", TYPE(STRING) | TYPE(NULL)},
    {REPORT, "environment", TYPE(OBJECT)},
    {REPORT, "facts", TYPE(OBJECT)},
    {REPORT, "refused", TYPE(STRING) | TYPE(NULL)},
    {REPORT, "kernels", TYPE(OBJECT) | TYPE(NULL)},
    {REPORT, "vectors", TYPE(ARRAY)},
    {REPORT, "bundles", TYPE(ARRAY)},
    {REPORT, "fingerprint", TYPE(STRING) | TYPE(NULL)},
    {REPORT, "expected_fingerprint", TYPE(STRING)},
    {REPORT, "result", TYPE(STRING)},
    {REPORT, "seconds", TYPE(REAL)},
    {MODEL, "model", TYPE(STRING)},
    {MODEL, "result", TYPE(STRING)},
    {MODEL, "expected", TYPE(OBJECT)},
    {MODEL, "replaced", TYPE(ARRAY)},
    {MODEL, "runs", TYPE(ARRAY)},
    {MODEL, "rows", TYPE(ARRAY)},
    {RUN, "tokens", TYPE(INTEGER)},
    {RUN, "batch", TYPE(INTEGER)},
    {RUN, "chunk", TYPE(INTEGER)},
    {RUN, "sha256", TYPE(STRING)},
    {KERNEL, "kernel", TYPE(STRING)},
    {KERNEL, "program", TYPE(STRING)},
    {KERNEL, "form", TYPE(STRING)},
    {KERNEL, "cases", TYPE(INTEGER)},
    {KERNEL, "result", TYPE(STRING)},
};

/* The name of the first member that is missing or of another type; NULL: none. */
static const char *missing_in(const json_t *object, enum level level) {
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const json_t *v = json_object_get(object, members[i].name);
        if (members[i].level == level && (!v || !(members[i].types >> json_typeof(v) & 1))) {
            return members[i].name;
        }
    }
    return NULL;
}

static const char *missing_in_each(const json_t *list, enum level level) {
    const char *name = NULL;
    for (size_t i = 0; !name && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        name = missing_in(one, level);
        if (!name && level == MODEL) {
            name = missing_in_each(json_object_get(one, "runs"), RUN);
        }
    }
    return name;
}

static const char *missing(const json_t *report) {
    const char *name = missing_in(report, REPORT);
    const json_t *kernels = json_object_get(report, "kernels");
    if (!name) {
        name = missing_in_each(json_object_get(report, "vectors"), MODEL);
    }
    if (!name) {
        name = missing_in_each(json_object_get(report, "bundles"), MODEL);
    }
    if (!name && json_is_object(kernels) && !json_is_array(json_object_get(kernels, "kernels"))) {
        name = "kernels";
    }
    return name ? name : missing_in_each(json_object_get(kernels, "kernels"), KERNEL);
}

/* A foreign report's texts go to a terminal: nothing in them may command it. */
static void make_printable(json_t *value) {
    const char *key;
    json_t *one;
    size_t index;
    json_object_foreach(value, key, one) {
        make_printable(one);
    }
    json_array_foreach(value, index, one) {
        make_printable(one);
    }
    if (json_is_string(value)) {
        char *text = strdup(json_string_value(value));
        for (char *p = text; p && *p; p++) {
            *p = ((unsigned char)*p < ' ' && *p != '\n') || *p == 127 ? ' ' : *p;
        }
        json_string_set(value, text);
        free(text);
    }
}

json_t *conform_read(const char *path, int *status) {
    json_error_t e;
    json_t *report = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!report) {
        *status = report_error(e.line > 0 ? MOXIE_ERROR_FORMAT : MOXIE_ERROR_FILE, "%s: %s%s%.0d", path, e.text,
                               e.line > 0 ? " in line " : "", e.line > 0 ? e.line : 0);
        return NULL;
    }
    const json_t *version = json_object_get(report, "moxie_conform");
    const char *name;
    if (!json_is_integer(version)) {
        *status = report_error(MOXIE_ERROR_FORMAT, "%s: not a report of moxie conform", path);
    } else if (json_integer_value(version) != CONFORM_VERSION) {
        *status = report_error(MOXIE_ERROR_FORMAT, "%s: a report of version %lld, this tool knows %d", path,
                               (long long)json_integer_value(version), CONFORM_VERSION);
    } else if ((name = missing(report))) {
        *status =
            report_error(MOXIE_ERROR_FORMAT, "%s: \"%s\" is missing in the report or of another type", path, name);
    } else {
        make_printable(report);
        return report;
    }
    json_decref(report);
    return NULL;
}
