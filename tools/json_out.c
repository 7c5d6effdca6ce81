/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/json_out.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/report.h"

int json_print(json_t *value) {
    if (!value) {
        return report_tool("the result cannot be written as JSON");
    }
    int failed = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(value);
    putchar('\n');
    return finish_output(failed ? STATUS_FAILED : STATUS_OK);
}

const char *json_path(const char *path) {
    json_t *string = path ? json_string(path) : NULL;
    const bool fits = !path || string;
    json_decref(string);
    return fits ? path : "?";
}

void json_fact(void *user, const char *key, const char *text, bool is_number) {
    json_object_set_new(user, key, is_number ? json_integer((json_int_t)strtoull(text, NULL, 10)) : json_string(text));
}
