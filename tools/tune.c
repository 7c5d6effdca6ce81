/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tune.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tools/args.h"
#include "tools/report.h"

#define TUNABLE(field)                                                                                                 \
    { #field, offsetof(struct moxie_tunables, field) }
static const struct {
    const char *key;
    size_t offset;
} table[] = {
    TUNABLE(work_group), TUNABLE(no_lists), TUNABLE(side_by_side), TUNABLE(unit_entries), TUNABLE(core_units),
    TUNABLE(job_units),  TUNABLE(ahead),    TUNABLE(row_ahead),    TUNABLE(without),      TUNABLE(loop_rounds),
};
enum { TUNABLES = sizeof table / sizeof table[0] };

static uint32_t *field(struct moxie_tunables *t, size_t i) {
    return (uint32_t *)(void *)((char *)t + table[i].offset);
}

/* "key=value" of `n` bytes. */
static int parse_one(struct moxie_tunables *t, const char *text, size_t n) {
    char value[24];
    uint64_t number;
    for (size_t i = 0; i < TUNABLES; i++) {
        const size_t key = strlen(table[i].key);
        if (n <= key || strncmp(text, table[i].key, key) != 0 || text[key] != '=') {
            continue;
        }
        snprintf(value, sizeof(value), "%.*s", (int)(n - key - 1), text + key + 1);
        if (n - key - 1 >= sizeof(value) || !parse_u64(value, 1, UINT32_MAX, &number)) {
            return usage_error("--tune: %.*s: not a number from 1 to %u", (int)n, text, UINT32_MAX);
        }
        *field(t, i) = (uint32_t)number;
        return STATUS_OK;
    }
    return usage_error("--tune: '%.*s': no tunable, as work_group=64; boards/README.md lists them", (int)n, text);
}

int tune_parse(struct tune *t) {
    int status = STATUS_OK;
    t->tunables = (struct moxie_tunables)MOXIE_TUNABLES;
    for (const char *at = t->text; at && status == STATUS_OK;) {
        const size_t n = strcspn(at, ",");
        status = parse_one(&t->tunables, at, n);
        at = at[n] ? at + n + 1 : NULL;
    }
    if (t->portable) {
        t->tunables.without = UINT32_MAX;
    }
    return status;
}

void tune_visit(const struct moxie_tunables *tunables, void (*visit)(void *user, const char *key, uint32_t value),
                void *user) {
    struct moxie_tunables t = *tunables;
    for (size_t i = 0; i < TUNABLES; i++) {
        visit(user, table[i].key, *field(&t, i));
    }
}
