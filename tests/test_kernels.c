/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel against its scalar twin, bit for bit: on the device that MX_DEVICE names (kernel_device.h), in every
 * form that it can run. MX_SMALL=1 takes a part of the cases, for slow devices like Oclgrind; an argument selects tests
 * by name. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "twin/cases.h"
#include "tests/kernel_device.h"
#include "twin/twin.h"

static struct kernel_device device;
static uint8_t *image;
static bool small;
#define SMALL_BYTES 210000u /* of all arguments together */
#define SMALL_CASES 2u      /* of each program */

/* The forms of the kernels that this device can run. */
static struct kernel_style styles[6];
static int n_styles;
static bool sha256; /* it has the instructions */

static void style(const char *name, uint32_t dot, uint32_t local, uint32_t shrink, const char *more) {
    styles[n_styles++] =
        (struct kernel_style){.name = name, .dot = dot, .local = local, .shrink = shrink, .more = more};
}

static int open_device(void **state) {
    (void)state;
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    struct moxie_failure failure;
    kernel_device_open(&device);
    check_ok(mx_device_read(device.platform, device.device, &facts, &failure), failure);
    const enum mx_dot best = mx_device_dot(&facts, 0);
    sha256 = mx_device_sha256(&facts, MX_DOT_AVX2);
    /* PoCL 3.1 shares local memory between its threads; rusticl takes minutes to compile vectors */
    const bool rusticl = strcmp(facts.platform, "rusticl") == 0;
    if (!rusticl)
        style("vectors", MX_DOT_PORTABLE, 0, 0, NULL);
    if (!device.pocl)
        style("lanes", MX_DOT_PORTABLE, 64, 0, NULL);
    if (best != MX_DOT_PORTABLE)
        style("AVX2", MX_DOT_AVX2, 0, 2, NULL);
    if (best == MX_DOT_VNNI512)
        style("AVX-512 VNNI", MX_DOT_VNNI512, 0, 3, NULL);
    if (best == MX_DOT_AVX2) { /* all of that variant but its instructions themselves */
        style("AVX-512 VNNI, spelt out", MX_DOT_VNNI512, 0, 3, NULL);
        styles[n_styles - 1].spelt_out = true;
    }
    small = getenv("MX_SMALL") != NULL;
    image = malloc(TWIN_IMAGE_BYTES);
    return image ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    free(image);
    kernel_device_close(&device);
    return 0;
}

/* ---- Kernels and twins ---- */

/* Compares a case unless it is one for which this device is too slow. */
static void compare_case(cl_program program, const struct mx_program_key *key, const char *kernel,
                         const struct kernel_style *form, const struct mx_case *c, uint32_t *compared) {
    if (small && (c->image_bytes > SMALL_BYTES || *compared == SMALL_CASES))
        return;
    kernel_compare(&device, program, key, kernel, form, c, image);
    ++*compared;
}

/* All cases of one kernel in one program. */
static void compare_as(const struct mx_program_key *key, const char *kernel, const struct kernel_style *form) {
    struct mx_case c;
    uint32_t compared = 0;
    cl_program program = kernel_build(&device, key, form);
    for (uint32_t run = 0; twin_case(key, kernel, run, image, &c); run++)
        compare_case(program, key, kernel, form, &c, &compared);
    for (uint32_t run = 0; mx_case_make(key, kernel, run, image, &c); run++)
        compare_case(program, key, kernel, form, &c, &compared);
    clReleaseProgram(program);
    assert_true(compared > 0);
}

/* In the forms whose bit is set. */
static void compare_in(const struct mx_program_key *key, const char *kernel, uint32_t forms) {
    for (int s = 0; s < n_styles; s++)
        if (forms >> s & 1)
            compare_as(key, kernel, &styles[s]);
}

/* Kernels without a dot product: only the sums of norm.cl differ between its variants. */
static void compare(const char *file, const char *kernel, uint32_t kv) {
    const struct mx_program_key key = {.kernel_file = file, .kv = kv};
    uint32_t forms = 0;
    for (int s = 0; s < n_styles; s++)
        forms |= (styles[s].dot == MX_DOT_PORTABLE || strcmp(file, "norm") == 0 ? 1u : 0u) << s;
    compare_in(&key, kernel, forms);
}

static void test_linear(void **state) {
    (void)state;
    /* each format in each form, with other groups; test_known_answers has the rest */
    for (uint32_t format = MX_KF_I4; format <= MX_KF_F32; format++)
        for (int s = 0; s < n_styles; s++) {
            const bool integer = format <= MX_KF_I8;
            const struct mx_program_key key = {
                .kernel_file = "linear", .format = format, .group = integer ? 32u << (format + (uint32_t)s) % 3 : 0};
            if ((integer || styles[s].dot == MX_DOT_PORTABLE) && (!small || format % 3 != 0))
                compare_in(&key, "mx_linear", 1u << s);
        }
}

static void test_embed(void **state) {
    (void)state;
    compare("embed", "mx_embed", 0);
}

static void test_norm(void **state) {
    (void)state;
    compare("norm", "mx_norm", 0);
    compare("norm", "mx_quantise", 0);
    compare("norm", "mx_qk_norm", 0);
}

static void test_rope(void **state) {
    (void)state;
    compare("rope", "mx_rope_table", 0);
    for (uint32_t kv = 1; kv <= 3; kv++) {
        compare("rope", "mx_rope_kv", kv);
        compare("rope", "mx_kv_copy", kv);
    }
}

static void test_attention(void **state) {
    (void)state;
    for (uint32_t kv = 1; kv <= 3; kv += small ? 2 : 1)
        compare("attention", "mx_attention", kv);
}

static void test_experts(void **state) {
    (void)state;
    compare("route", "mx_route", 0);
    compare("route", "mx_sort", 0);
    compare("route", "mx_keep", 0);
    compare("route", "mx_combine", 0);
}

static void test_hash(void **state) {
    (void)state;
    compare("hash", "mx_hash_leaves", 0);
}

static void test_hash_by_instructions(void **state) {
    (void)state;
    const struct kernel_style form = {.name = "SHA instructions", .dot = MX_DOT_AVX2, .more = "-DMX_SHA256=1"};
    if (!sha256)
        skip(); /* not this device, or not this processor */
    compare_as(&(struct mx_program_key){.kernel_file = "hash"}, "mx_hash_leaves", &form);
}

/* ---- Halves ---- */

/* Every finite half as a weight, picked out by activations that are 1 in one place. */
static void all_halves(struct mx_maker *m) {
    enum { COLS = 32, ROWS = 2048 };
    const struct mx_planes p = mx_make_planes(m, ROWS, COLS);
    mx_make_weights(m, &p);
    uint16_t *weight = (uint16_t *)(m->image + m->c->arg[0].offset + 512 + p.data);
    for (uint32_t i = 0; i < 65536; i++)
        weight[i] = (uint16_t)((i & 0x7c00) == 0x7c00 ? 0 : i);
    const uint32_t job[4] = {0, 0, COLS, 0};
    mx_make_words(m, 4, job);
    uint32_t *rows = mx_make_zeros(m, 4 * COLS);
    float *x = mx_make_zeros(m, 4 * COLS * COLS);
    for (uint32_t i = 0; i < COLS; i++) {
        rows[i] = i;
        x[i * COLS + i] = 1;
    }
    mx_make_zeros(m, 64);
    mx_make_zeros(m, 64);
    mx_make_output(m, 4 * COLS * ROWS);
    mx_make_u32(m, COLS);
    mx_make_u32(m, ROWS);
    mx_make_u32(m, ROWS);
    mx_make_u32(m, 0);
    mx_make_u32(m, 0);
    mx_make_u32(m, 0);
    mx_make_grid(m, MX_WORK_LINEAR, MX_TOKENS, COLS, ROWS / 16);
    m->c->grid.jobs = MX_JOBS;
    m->c->counts[MX_JOBS] = 1;
}

static void test_halves(void **state) {
    (void)state;
    const struct mx_program_key key = {.kernel_file = "linear", .format = MX_KF_F16};
    struct mx_case c = {.n_args = 0};
    struct mx_maker m = {.image = image, .key = &key, .c = &c};
    all_halves(&m);
    c.image_bytes = m.used;
    for (int by_integer = 0; by_integer < 2; by_integer++) {
        struct kernel_style form = styles[0];
        form.more = by_integer ? "-DMX_HALF_BY_INTEGER" : NULL;
        cl_program program = kernel_build(&device, &key, &form);
        kernel_compare(&device, program, &key, "mx_linear", &form, &c, image);
        clReleaseProgram(program);
    }
}

/* ---- Values that are not finite ---- */

static uint32_t status_of(const char *kernel, const struct mx_program_key *key, struct mx_case *c,
                          uint32_t status_arg) {
    cl_program program = kernel_build(&device, key, &styles[0]);
    uint32_t status;
    kernel_run(&device, program, kernel, &styles[0], c, image);
    clReleaseProgram(program);
    memcpy(&status, image + c->arg[status_arg].offset, 4);
    return status;
}

static void test_not_finite(void **state) {
    (void)state;
    static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffffffff};
    const struct mx_program_key norm = {.kernel_file = "norm"};
    struct mx_case c;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(twin_case(&norm, "mx_norm", 7, image, &c));
        memcpy(image + c.arg[9].offset + 4100 * 4 * 3 + 4, &bad[i], 4);
        assert_int_equal(status_of("mx_norm", &norm, &c, 14), 1);
        assert_true(twin_case(&norm, "mx_quantise", 1, image, &c));
        memcpy(image + c.arg[0].offset + 4 * 79, &bad[i], 4);
        assert_int_equal(status_of("mx_quantise", &norm, &c, 4), 1);
        for (uint32_t part = 0; part < 6; part++) { /* in q, k and v of 4 + 2 + 2 heads of 48 */
            const struct mx_program_key rope = {.kernel_file = "rope", .kv = part < 3 ? MX_KF_KV_F16 : MX_KF_KV_I8};
            assert_true(twin_case(&rope, "mx_rope_kv", 4, image, &c));
            memcpy(image + c.arg[0].offset + 4 * 48 * (part % 3 == 0 ? 3 : part % 3 == 1 ? 4 : 7), &bad[i], 4);
            assert_int_equal(status_of("mx_rope_kv", &rope, &c, 16), 1);
        }
    }
    const float large = 0x1p100f; /* finite, but 1 / x is too small */
    assert_true(twin_case(&norm, "mx_quantise", 0, image, &c));
    memcpy(image + c.arg[0].offset, &large, 4);
    assert_int_equal(status_of("mx_quantise", &norm, &c, 4), 1);
}

/* ---- Subnormals ---- */

#if defined(__x86_64__)
#include <immintrin.h>

/* The twin with subnormals and with operands and results flushed to zero. */
static void flushed_twin(const struct mx_program_key *key, const char *kernel) {
    struct mx_case c;
    uint8_t *flushed = malloc(TWIN_IMAGE_BYTES);
    assert_non_null(flushed);
    for (uint32_t run = 0; twin_case(key, kernel, run, image, &c); run++) {
        memcpy(flushed, image, c.image_bytes);
        kernel_twin(key, kernel, &c, image);
        const unsigned saved = _mm_getcsr();
        _mm_setcsr(saved | 0x8040); /* FTZ, DAZ */
        volatile float tiny = 0x1p-100f;
        tiny *= 0x1p-40f;
        assert_true(tiny == 0);
        kernel_twin(key, kernel, &c, flushed);
        _mm_setcsr(saved);
        if (memcmp(image, flushed, c.image_bytes) != 0)
            fail_msg("%s run %u, format %u kv %u: flushing shows", kernel, run, key->format, key->kv);
    }
    free(flushed);
}

static void test_flushing(void **state) {
    (void)state;
    static const char *const kernels[] = {"mx_embed",   "mx_norm",      "mx_quantise", "mx_qk_norm", "mx_rope_table",
                                          "mx_rope_kv", "mx_attention", "mx_route",    "mx_combine"};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        for (uint32_t kv = 1; kv <= 3; kv++)
            flushed_twin(&(struct mx_program_key){.kv = kv}, kernels[i]);
    for (uint32_t format = MX_KF_I4; format <= MX_KF_F32; format++)
        flushed_twin(&(struct mx_program_key){.format = format, .group = 32}, "mx_linear");
}
#else
static void test_flushing(void **state) {
    (void)state;
    skip();
}
#endif

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),    cmocka_unit_test(test_embed),
        cmocka_unit_test(test_norm),      cmocka_unit_test(test_rope),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_experts),
        cmocka_unit_test(test_hash),      cmocka_unit_test(test_hash_by_instructions),
        cmocka_unit_test(test_halves),    cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_flushing),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name(__FILE__, tests, open_device, close_device);
}
