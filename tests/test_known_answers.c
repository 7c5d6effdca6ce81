/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of known answers is what the scalar twins compute, and the kernels give it on this machine's device.
 * MX_PRINT_KNOWN_ANSWERS=1 writes opencl/known_table.c to standard output instead. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "opencl/known_answers.h"
#include "opencl/known_answers_check.h"
#include "opencl/sequence.h"
#include "tests/fake_opencl.h"
#include "twin/kernels.h"
#include "twin/twin.h"

enum { OBJECTS = 512 };
static struct mx_object objects[OBJECTS];
static _Alignas(4096) uint8_t scratch[4 << 20], host[1 << 20];
static struct moxie_failure failure;
static const struct moxie_tunables portable = {.size = sizeof portable, .without = UINT32_MAX};

/* The digest by plain C. */
static uint64_t twin_digest(const struct twin_kernel *w) {
    struct mx_case c;
    struct twin_parameter parameters[MX_MAX_ARGS];
    uint64_t digest = 0;
    uint32_t run = 0;
    for (; mx_case_make(&w->key, w->kernel, run, scratch, &c); run++) {
        assert_true(c.image_bytes <= MX_KNOWN_ANSWERS_BYTES);
        assert_int_equal(twin_parameters(w, parameters), c.n_args);
        assert_true(twin_run_case(&w->key, w->kernel, &c, scratch));
        digest = mx_case_digest(digest, scratch, c.image_bytes);
    }
    assert_true(run > 0);
    return digest;
}

static const struct mx_known_answer *in_table(const struct twin_kernel *w) {
    for (const struct mx_known_answer *a = mx_known_answer_table; a->kernel; a++)
        if (strcmp(a->kernel, w->kernel) == 0 && a->format == w->key.format && a->group == w->key.group &&
            a->kv == w->key.kv)
            return a;
    return NULL;
}

static void print_table(void) {
    struct twin_kernel w;
    printf("/* SPDX-License-Identifier: Apache-2.0\n *\n * Written by MX_PRINT_KNOWN_ANSWERS=1 "
           "build/tests/test_known_answers from the scalar twins. */\n"
           "#include \"opencl/known_answers_check.h\"\n\n/* clang-format off */\nconst struct mx_known_answer "
           "mx_known_answer_table[] = {\n");
    for (size_t i = 0; twin_kernel(i, &w); i++)
        printf("    {\"%s\", %u, %u, %u, 0x%016llx},\n", w.kernel, w.key.format, w.key.group, w.key.kv,
               (unsigned long long)twin_digest(&w));
    printf("    {NULL, 0, 0, 0, 0},\n};\n/* clang-format on */\n");
}

static void test_table(void **state) {
    (void)state;
    struct twin_kernel w;
    size_t n = 0, entries = 0;
    for (; twin_kernel(n, &w); n++) {
        const struct mx_known_answer *a = in_table(&w);
        if (!a || a->digest != twin_digest(&w))
            fail_msg("%s format %u group %u KV %u: %s", w.kernel, w.key.format, w.key.group, w.key.kv,
                     a ? "not the twin's digest" : "not in the table");
    }
    while (mx_known_answer_table[entries].kernel)
        entries++;
    assert_int_equal(entries, n);
}

/* ---- On the device ---- */

static char log_text[2048];

static void log_line(void *user, const char *text) {
    (void)user;
    strncat(log_text, text, sizeof log_text - strlen(log_text) - 1);
}

enum style { ALONE, IN_LANES, IN_LISTS };

/* One program for each kind of keys and values is enough: their parts are compiled from the same text as the kernels
 * themselves. */
static void check_in_list(struct mx_cl *cl, const struct twin_kernel *w) {
    static const struct mx_program_key programs[3] = {{.kernel_file = "linear", .format = 1, .group = 32, .kv = 1},
                                                      {.kernel_file = "linear", .format = 7, .kv = 2},
                                                      {.kernel_file = "linear", .format = 1, .group = 32, .kv = 3}};
    for (int i = 0; i < 3; i++) {
        struct mx_program_key all = {.kernel_file = NULL};
        assert_true(mx_sequence_join(&all, &programs[i]));
        if (!mx_sequence_join(&all, &w->key) || strcmp(w->kernel, "mx_hash_leaves") == 0)
            continue; /* in another program, or no part of a step */
        check_ok(mx_sequence_check(cl, &all, &w->key, w->kernel, &failure), failure);
        assert_string_equal(log_text, "");
        return;
    }
}

/* Every kernel, and a selection of the formats, as variant `dot`; none may be replaced. */
static void on_device(uint32_t dot, enum style style) {
    static const struct mx_callbacks callbacks = {.log = log_line};
    static struct mx_cl cl;
    cl_mem region;
    struct twin_kernel w;
    log_text[0] = '\0';
    check_ok(mx_cl_open(&cl, 0, objects, OBJECTS, scratch, sizeof scratch, &callbacks, &portable, &failure), failure);
    check_ok(mx_cl_region(&cl, host, sizeof host, &region, &failure), failure);
    check_ok(mx_known_answers(&cl, region, sizeof host, &failure), failure);
    cl.facts.dot = dot;
    if (style == IN_LANES)
        cl.facts.type = CL_DEVICE_TYPE_GPU;
    for (size_t i = 0; twin_kernel(i, &w); i++) {
        struct mx_launch launch;
        struct mx_case c;
        struct mx_arg args[MX_MAX_ARGS];
        if (style == IN_LISTS) {
            check_in_list(&cl, &w);
            continue;
        }
        if (w.key.format && w.key.format <= 4 && w.key.group != 32u << w.key.format % 3)
            continue; /* one of the three kinds of each integer format */
        if (dot != MX_DOT_PORTABLE && (w.key.format > 4 || strcmp(w.kernel, "mx_linear") != 0))
            continue; /* variants differ nowhere else */
        assert_true(mx_case_make(&w.key, w.kernel, 0, scratch, &c));
        for (uint32_t a = 0; a < c.n_args; a++)
            args[a] = c.arg[a].kind == MX_ARG_MEM ? mx_arg_mem(region) : mx_arg_u32(c.arg[a].u);
        check_ok(mx_launch_bind(&cl, &launch, &w.key, w.kernel, args, c.n_args, &failure), failure);
        assert_string_equal(log_text, "");
    }
    mx_cl_close(&cl);
}

static void test_portable(void **state) {
    (void)state;
    on_device(MX_DOT_PORTABLE, ALONE);
}

/* The same kernels as parts of the one that goes through lists of them. */
static void test_lists(void **state) {
    (void)state;
    on_device(MX_DOT_PORTABLE, IN_LISTS);
}

/* PoCL 3.1 with several threads now and then miscomputes work-groups that wait at barriers inside of loops. */
static void test_lanes(void **state) {
    (void)state;
    struct moxie_device_facts facts;
    check_ok(moxie_device_facts(0, &facts, &failure), failure);
    if (strcmp(facts.platform, "Portable Computing Language") == 0)
        skip();
    on_device(MX_DOT_PORTABLE, IN_LANES);
}

static void test_variant(void **state) {
    (void)state;
    struct moxie_device_facts facts;
    check_ok(moxie_device_facts(0, &facts, &failure), failure);
    if (facts.dot == MX_DOT_PORTABLE)
        skip();
    on_device(facts.dot, ALONE);
    on_device(facts.dot, IN_LISTS);
}

int main(void) {
    if (getenv("MX_PRINT_KNOWN_ANSWERS")) {
        print_table();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_portable), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_lanes), cmocka_unit_test(test_variant),
    };
    return check_run(tests);
}
