/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel's tunables change its speed and nothing else: the same bits with every value. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/kernel_sources.h"
#include "tests/engine_kit.h"

/* Stands in for opencl/kernel_sources.c: puts a definition in front of the source of mx_linear. */
static const char *definition;
const struct mx_kernel_source *mx_kernel_source(const char *name) {
    static char text[64 << 10];
    static struct mx_kernel_source tuned = {.source = text};
    const struct mx_kernel_source *s = mx_kernel_sources;
    while (s->name && strcmp(s->name, name) != 0) {
        s++;
    }
    if (!s->name || !definition || strcmp(name, "linear_parts") != 0) {
        return s->name ? s : NULL;
    }
    tuned.name = s->name;
    int n = snprintf(text, sizeof text, "#define %s\n%s", definition, s->source);
    assert_true(n > 0 && (size_t)n < sizeof text);
    tuned.length = (size_t)n;
    return &tuned;
}

static void check(enum pk_weights weights) {
    static const struct moxie_tunables tunables[] = {
        MOXIE_TUNABLES,
        {.size = sizeof *tunables, .side_by_side = 4, .unit_entries = 8, .core_units = 1, .job_units = 1, .ahead = 64},
        {.size = sizeof *tunables, .side_by_side = 7, .unit_entries = 256, .no_lists = 1, .row_ahead = 64},
        {.size = sizeof *tunables, .unit_entries = 3},
        {.size = sizeof *tunables, .unit_entries = 5},
    };
    struct kit kit = {.engine = NULL};
    int32_t tokens[KIT_TOKENS];
    struct moxie_config config = kit_config();
    kit_open(&kit, "moe-sparse-step", weights);
    kit_tokens("moe-sparse-step", tokens);
    float *want = kit_rows(&kit), *got = kit_rows(&kit);
    for (size_t i = 0; i < sizeof tunables / sizeof *tunables; i++) {
        config.tunables = &tunables[i];
        kit_start(&kit, &config);
        assert_int_equal(kit.engine->cl.tunables.side_by_side, tunables[i].side_by_side);
        kit_feed(&kit, 0, tokens, KIT_TOKENS, KIT_TOKENS, i == 0 ? want : got);
        kit_stop(&kit);
        if (i > 0) {
            char which[32];
            snprintf(which, sizeof which, "tunables %zu", i);
            kit_same(&kit, which, got, want, KIT_TOKENS);
        }
    }
    free(want);
    free(got);
    kit_close(&kit);
}

static void test_int4(void **state) {
    (void)state;
    check(PK_WEIGHTS_INT4);
}

static void test_float(void **state) {
    (void)state;
    check(PK_WEIGHTS_F16);
}

/* A variant that does not compile: the portable one takes its place, and the caller can read it. */
static void test_replacement(void **state) {
    (void)state;
    struct kit kit = {.engine = NULL};
    struct moxie_device_facts facts;
    struct moxie_replacement r;
    int32_t tokens[KIT_TOKENS];
    const struct moxie_config config = kit_config();
    check_ok(moxie_device_facts(0, &facts, &kit.failure), kit.failure);
    if (!facts.dot)
        skip();
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    kit_tokens("moe-sparse-step", tokens);
    float *want = kit_rows(&kit), *got = kit_rows(&kit);
    for (int broken = 0; broken < 2; broken++) {
        definition = broken ? "planted\n#if MX_DOT > 0\n#error planted\n#endif" : NULL;
        kit_start(&kit, &config);
        kit_feed(&kit, 0, tokens, KIT_TOKENS, KIT_TOKENS, broken ? got : want);
        bool int4 = false;
        for (uint32_t i = 0; moxie_engine_replacement(kit.engine, i, &r); i++) {
            assert_int_equal(r.why, MOXIE_ERROR_COMPILE);
            assert_null(r.kernel);
            assert_string_not_equal(r.was, "portable");
            assert_string_equal(r.is, "portable");
            int4 = int4 || (r.format == 1 && r.group == 32);
        }
        assert_int_equal(int4, broken);
        kit_stop(&kit);
    }
    definition = NULL;
    assert_int_equal(moxie_engine_replacement(NULL, 0, &r), 0);
    kit_same(&kit, "portable in its place", got, want, KIT_TOKENS);
    free(want);
    free(got);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_int4), cmocka_unit_test(test_float),
                                       cmocka_unit_test(test_replacement)};
    return check_run(tests);
}
