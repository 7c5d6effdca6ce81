/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a conformance report that somebody else may have written. */
#include "tools/conform.h"

#include "tools/report.h"

/* What must be there, and of which type; a type of -1: an object or null. */
static const struct {
    const char *in, *name; /* in: NULL is the report itself, else of each element of that array */
    int type;
} members[] = {
    {NULL, "moxie", JSON_STRING},      {NULL, "date", JSON_STRING},        {NULL, "host", JSON_STRING},
    {NULL, "result", JSON_STRING},     {NULL, "environment", JSON_OBJECT}, {NULL, "facts", JSON_OBJECT},
    {NULL, "vectors", JSON_ARRAY},     {NULL, "bundles", JSON_ARRAY},      {NULL, "kernels", -1},
    {"vectors", "model", JSON_STRING}, {"vectors", "result", JSON_STRING}, {"vectors", "runs", JSON_ARRAY},
    {"vectors", "rows", JSON_ARRAY},   {"bundles", "model", JSON_STRING},  {"bundles", "runs", JSON_ARRAY},
    {"bundles", "rows", JSON_ARRAY},
};

static bool has(const json_t *object, const char *name, int type) {
    const json_t *v = json_object_get(object, name);
    return v && (type < 0 ? json_is_null(v) || json_is_object(v) : (int)json_typeof(v) == type);
}

/* The name of the first member that is missing or of another type; NULL: none. */
static const char *missing(const json_t *report) {
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        size_t index;
        json_t *one;
        if (!members[i].in && !has(report, members[i].name, members[i].type)) {
            return members[i].name;
        }
        json_array_foreach(members[i].in ? json_object_get(report, members[i].in) : NULL, index, one) {
            if (!has(one, members[i].name, members[i].type)) {
                return members[i].name;
            }
        }
    }
    return NULL;
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
        return report;
    }
    json_decref(report);
    return NULL;
}
