/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs, their cache, launches and known answers on a real driver, with kernels of their own and the fake OpenCL in
 * between. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "opencl/device.h"
#include "opencl/kernel_sources.h"
#include "opencl/known_answers.h"
#include "opencl/known_answers_check.h"
#include "runtime/crypto.h"
#include "tests/fake_opencl.h"

/* ---- Kernels that stand in the place of the embedded ones ---- */

/* Copies KV blocks as mx_kv_copy has to. Variant 1 is wrong, variant 2 does not compile; KV type 2 is always wrong. */
static const char probe_source[] = "#if MX_DOT == 2 || MX_FORMAT == 99\n"
                                   "#error this cannot be built\n"
                                   "#endif\n"
                                   "#ifdef MX_LANES\n" /* a unit is a work-group */
                                   "#define UNIT(dim) get_group_id(dim)\n"
                                   "#define UNITS(dim) get_num_groups(dim)\n"
                                   "#else\n"
                                   "#define UNIT(dim) get_global_id(dim)\n"
                                   "#define UNITS(dim) get_global_size(dim)\n"
                                   "#endif\n"
                                   "__kernel void mx_kv_copy(__global ushort *k, __global ushort *v,\n"
                                   "                         __global const uint2 *pairs, uint kv_heads, uint d,\n"
                                   "                         uint pool) {\n"
                                   "    uint2 p = pairs[UNIT(0)];\n"
                                   "    uint h = UNIT(1), n = d * 64, wrong = MX_DOT == 1 || MX_KV == 2;\n"
                                   "    for (uint i = get_local_id(0); i < n; i += get_local_size(0)) {\n"
                                   "        k[(h * pool + p.y) * n + i] = k[(h * pool + p.x) * n + i];\n"
                                   "        v[(h * pool + p.y) * n + i] = v[(h * pool + p.x) * n + i] + wrong;\n"
                                   "    }\n"
                                   "}\n"
                                   "__kernel void add(__global uint *x, uint value) {\n"
                                   "    if (get_local_id(0) == 0)\n"
                                   "        x[UNIT(1) * UNITS(0) + UNIT(0)] += value;\n"
                                   "}\n";

const struct mx_kernel_source *mx_kernel_source(const char *name) {
    static const struct mx_kernel_source none = {"none", "", 0};
    static const struct mx_kernel_source probe = {"probe", probe_source, sizeof probe_source - 1};
    if (strcmp(name, "arith") == 0 || strcmp(name, "weights") == 0)
        return &none;
    return strcmp(name, "probe") == 0 ? &probe : NULL;
}

#define COPY_ANSWER 0xfbad8b29944f9d4cu
const struct mx_known_answer mx_known_answer_table[] = {
    {"mx_kv_copy", 0, 0, 1, COPY_ANSWER},
    {"mx_kv_copy", 0, 0, 2, COPY_ANSWER},
    {NULL, 0, 0, 0, 0},
};
static const struct mx_program_key probe = {.kernel_file = "probe", .kv = 1};

/* ---- What every test opens ---- */

enum { OBJECTS = 256, SCRATCH = 1 << 20, REGION = 1 << 20, CACHED = 4 };

struct product {
    char log[4096];
    uint8_t key[CACHED][32];
    void *binary[CACHED];
    size_t bytes[CACHED];
    int stored, cancel;
};
static struct product product;

static size_t cache_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    struct product *p = user;
    for (int i = 0; i < p->stored; i++)
        if (memcmp(p->key[i], key, 32) == 0 && p->bytes[i] <= max) {
            memcpy(bytes, p->binary[i], p->bytes[i]);
            return p->bytes[i];
        }
    return 0;
}

static void cache_store(void *user, const uint8_t key[32], const void *bytes, size_t count) {
    struct product *p = user;
    int i = 0;
    while (i < p->stored && memcmp(p->key[i], key, 32) != 0)
        i++;
    assert_true(i < CACHED);
    p->stored += i == p->stored;
    memcpy(p->key[i], key, 32);
    p->binary[i] = realloc(p->binary[i], count);
    memcpy(p->binary[i], bytes, count);
    p->bytes[i] = count;
}

static void log_text(void *user, const char *text) {
    struct product *p = user;
    strncat(p->log, text, sizeof p->log - strlen(p->log) - 1);
}

static int progress(void *user, const char *what, uint64_t done, uint64_t total) {
    assert_string_equal(what, "build");
    assert_true(done <= total);
    return ((struct product *)user)->cancel;
}

static const struct mx_callbacks callbacks = {.user = &product, .log = log_text, .progress = progress};
static const struct mx_callbacks caching = {
    .user = &product, .log = log_text, .cache_load = cache_load, .cache_store = cache_store, .sha256 = mx_sha256};

static struct mx_cl cl;
static struct mx_object objects[OBJECTS];
static uint8_t scratch[SCRATCH];
static _Alignas(4096) uint8_t host[REGION];
static struct moxie_failure failure;
static const struct moxie_tunables portable = {.size = sizeof portable, .without = UINT32_MAX};

static void open_with(const struct mx_callbacks *c) {
    check_ok(mx_cl_open(&cl, 0, objects, OBJECTS, scratch, SCRATCH, c, &portable, &failure), failure);
}

static int begin(void **state) {
    (void)state;
    memset(&product, 0, sizeof product);
    memset(&failure, 0, sizeof failure);
    fake_reset();
    return 0;
}

/* Whatever the test did: nothing is left behind. */
static int end(void **state) {
    (void)state;
    mx_cl_close(&cl);
    for (int i = 0; i < product.stored; i++)
        free(product.binary[i]);
    fake_fail(0, 0, 0);
    return fake_live() == 0 ? 0 : -1;
}

/* ---- Programs and launches ---- */

static void test_launch(void **state) {
    (void)state;
    static uint32_t x[4096 / 4];
    struct mx_launch launch;
    cl_mem region;
    uint32_t counts[MX_COUNTS] = {[MX_TOKENS] = 5};
    open_with(NULL);
    check_ok(mx_cl_region(&cl, host, 4096, &region, &failure), failure);
    struct mx_arg args[2] = {mx_arg_mem(region), mx_arg_u32(3)};
    check_ok(mx_launch_bind(&cl, &launch, &probe, "add", args, 2, &failure), failure);
    mx_launch_grid(&cl, &launch, &(struct mx_grid){.work = MX_WORK_GRID, .count = MX_TOKENS, .items = 4});
    long creates = fake.creates;
    check_ok(mx_launch_run(&cl, &launch, counts, NULL, &failure), failure);
    check_ok(mx_launch_set(&launch, 1, mx_arg_u32(100), &failure), failure);
    counts[MX_TOKENS] = 2;
    check_ok(mx_launch_run(&cl, &launch, counts, NULL, &failure), failure);
    long enqueues = fake.enqueues;
    counts[MX_TOKENS] = 0;
    check_ok(mx_launch_run(&cl, &launch, counts, NULL, &failure), failure);
    assert_int_equal(fake.enqueues, enqueues);
    check_ok(mx_cl_read(&cl, region, 0, x, sizeof x, &failure), failure);
    assert_int_equal(fake.creates, creates);
    for (int i = 0; i < 30; i++)
        assert_int_equal(x[i], (i < 20 ? 3 : 0) + (i < 8 ? 100 : 0));

    uint32_t programs = cl.n_programs;
    struct mx_program_key other = probe;
    check_ok(mx_launch_bind(&cl, &launch, &other, "add", args, 2, &failure), failure);
    assert_int_equal(cl.n_programs, programs); /* equal keys share one */
    other.group = 32;
    check_ok(mx_launch_bind(&cl, &launch, &other, "add", args, 2, &failure), failure);
    assert_int_equal(cl.n_programs, programs + 1);
    check_error(mx_launch_bind(&cl, &launch, &probe, "add", args, 1, &failure), MOXIE_ERROR_ARGUMENT);
    check_error(mx_launch_bind(&cl, &launch, &probe, "nothing", args, 2, &failure), MOXIE_ERROR_OPENCL);
    assert_non_null(strstr(failure.what, "nothing"));
}

static void test_compile_error(void **state) {
    (void)state;
    struct mx_launch launch;
    open_with(&callbacks);
    check_error(mx_launch_bind(&cl, &launch, &(struct mx_program_key){.kernel_file = "probe", .format = 99}, "add",
                               NULL, 0, &failure),
                MOXIE_ERROR_COMPILE);
    assert_int_equal(failure.cl, CL_BUILD_PROGRAM_FAILURE);
    assert_non_null(strstr(failure.what, "probe.cl"));
    assert_non_null(strstr(product.log, "this cannot be built"));
    check_error(mx_launch_bind(&cl, &launch, &(struct mx_program_key){.kernel_file = "gone"}, "add", NULL, 0, &failure),
                MOXIE_ERROR_COMPILE);
    assert_non_null(strstr(failure.what, "gone.cl"));
}

static void test_progress(void **state) {
    (void)state;
    open_with(&callbacks);
    check_ok(mx_progress(&cl, "build", 1, 2, &failure), failure);
    product.cancel = 1;
    check_error(mx_progress(&cl, "build", 2, 2, &failure), MOXIE_ERROR_CANCELLED);
}

/* ---- Known answers ---- */

static cl_mem region;

static void open_checked(const struct mx_callbacks *c, uint32_t dot) {
    open_with(c);
    cl.facts.dot = dot;
    check_ok(mx_cl_region(&cl, host, REGION, &region, &failure), failure);
    check_error(mx_known_answers(&cl, region, MX_KNOWN_ANSWERS_BYTES - 1, &failure), MOXIE_ERROR_MEMORY);
    check_ok(mx_known_answers(&cl, region, REGION, &failure), failure);
}

static enum moxie_error bind_copy(struct mx_launch *launch, uint32_t kv, struct moxie_failure *f) {
    struct mx_arg args[6] = {mx_arg_mem(region), mx_arg_mem(region), mx_arg_mem(region),
                             mx_arg_u32(1),      mx_arg_u32(1),      mx_arg_u32(1)};
    return mx_launch_bind(&cl, launch, &(struct mx_program_key){.kernel_file = "probe", .kv = kv}, "mx_kv_copy", args,
                          6, f);
}

/* The digest in the table above, from plain C. */
static void test_copy_answer(void **state) {
    (void)state;
    struct mx_case c;
    assert_true(mx_case_make(&probe, "mx_kv_copy", 0, scratch, &c));
    const size_t head = (size_t)c.arg[5].u * c.arg[4].u * 64 * 2, block = head / c.arg[5].u;
    const uint32_t *pairs = (const uint32_t *)(void *)(scratch + c.arg[2].offset);
    assert_int_equal(c.counts[MX_COPIES], 2);
    for (int part = 0; part < 2; part++)
        for (uint32_t h = 0; h < c.arg[3].u; h++)
            for (int p = 0; p < 2; p++) {
                uint8_t *at = scratch + c.arg[part].offset + h * head;
                memcpy(at + pairs[2 * p + 1] * block, at + pairs[2 * p] * block, block);
            }
    uint64_t digest = mx_case_digest(0, scratch, c.image_bytes);
    if (digest != COPY_ANSWER)
        fail_msg("COPY_ANSWER is 0x%llx", (unsigned long long)digest);
    assert_false(mx_case_make(&probe, "mx_kv_copy", 1, scratch, &c));
    assert_false(mx_case_make(&probe, "unknown", 0, scratch, &c));
}

static void test_known_answer(void **state) {
    (void)state;
    struct mx_launch launch;
    open_checked(&callbacks, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    long enqueues = fake.enqueues;
    check_ok(bind_copy(&launch, 1, &failure), failure);
    assert_int_equal(fake.enqueues, enqueues); /* checked once */
    assert_string_equal(product.log, "");
    check_error(bind_copy(&launch, 2, &failure), MOXIE_ERROR_KNOWN_ANSWER);
    assert_non_null(strstr(product.log, "halves")); /* tried, and not the reason */
    assert_non_null(strstr(failure.what, "mx_kv_copy"));
    check_error(bind_copy(&launch, 0, &failure), MOXIE_ERROR_KNOWN_ANSWER);
    assert_non_null(strstr(failure.what, "no known answer"));
}

static void replaced_variant(uint32_t dot, enum moxie_error why, const char *words) {
    struct mx_launch launch;
    open_checked(&callbacks, dot);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    assert_int_equal(cl.n_programs, 1);
    assert_int_equal(cl.program[0].dot, MX_DOT_PORTABLE);
    assert_int_equal(cl.program[0].first_dot, dot);
    assert_int_equal(cl.program[0].why, why);
    assert_non_null(strstr(product.log, words));
    assert_non_null(strstr(product.log, "portable"));
}

static void test_wrong_variant(void **state) {
    (void)state;
    replaced_variant(1, MOXIE_ERROR_KNOWN_ANSWER, "wrong bits");
    assert_string_equal(cl.program[0].why_kernel, "mx_kv_copy");
}

static void test_variant_does_not_compile(void **state) {
    (void)state;
    replaced_variant(2, MOXIE_ERROR_COMPILE, "does not compile");
    assert_null(cl.program[0].why_kernel);
}

/* ---- Cache ---- */

static void test_cache(void **state) {
    (void)state;
    struct mx_launch launch;
    open_checked(&caching, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    mx_programs_store(&cl);
    assert_int_equal(product.stored, 1);
    mx_cl_close(&cl);

    fake_fail_name("clCreateProgramWithSource", 0); /* not called: the binary is enough */
    open_checked(&caching, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    mx_programs_store(&cl);
    assert_int_equal(product.stored, 1);
    mx_cl_close(&cl);

    open_checked(&caching, MX_DOT_AVX2); /* other options, another key */
    check_error(bind_copy(&launch, 1, &failure), MOXIE_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(failure.what, "clCreateProgramWithSource"));
    mx_cl_close(&cl);
    fake_fail_name(NULL, 0);

    fake_fail_name("clCreateProgramWithBinary", CL_INVALID_BINARY); /* the driver refuses it */
    open_checked(&caching, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    assert_non_null(strstr(product.log, "refused"));
    mx_cl_close(&cl);
    ((uint8_t *)product.binary[0])[product.bytes[0] / 2] ^= 1; /* not even shown to the driver */
    open_checked(&caching, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    assert_non_null(strstr(product.log, "damaged"));
}

/* ---- Every call fails once ---- */

/* All that init does, small. */
static enum moxie_error whole_way(struct moxie_failure *f) {
    struct mx_launch launch;
    cl_mem window, part;
    const uint32_t counts[MX_COUNTS] = {[MX_COPIES] = 1};
    static const uint32_t pairs[2] = {0, 0};
    uint8_t back[16];
    enum moxie_error e = mx_cl_open(&cl, 0, objects, OBJECTS, scratch, SCRATCH, &caching, &portable, f);
    if (!e)
        cl.facts.host_unified = 0; /* more calls */
    e = e ? e : mx_cl_window(&cl, host, 4096, &window, f);
    e = e ? e : mx_cl_region(&cl, host, REGION, &region, f);
    e = e ? e : mx_known_answers(&cl, region, REGION, f);
    e = e ? e : mx_cl_sub(&cl, region, 4096, 4096, &part, f);
    e = e ? e : bind_copy(&launch, 1, f);
    e = e ? e : mx_cl_write(&cl, region, 0, pairs, sizeof pairs, f);
    if (!e)
        mx_launch_grid(&cl, &launch, &(struct mx_grid){.work = MX_WORK_GRID, .count = MX_COPIES, .items = 1});
    e = e ? e : mx_launch_run(&cl, &launch, counts, NULL, f);
    e = e ? e : mx_cl_finish(&cl, f);
    e = e ? e : mx_cl_read(&cl, part, 0, back, sizeof back, f);
    if (!e)
        mx_programs_store(&cl);
    mx_cl_close(&cl);
    return e;
}

/* Calls without which everything still works: another platform's devices, the cache, waiting at the end. */
static bool may_fail(const char *call) {
    static const char *const list[] = {"clGetDeviceIDs",   "clGetPlatformInfo",
                                       "clGetProgramInfo", "clCreateProgramWithBinary",
                                       "clBuildProgram",   "clFinish"};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strcmp(list[i], call) == 0)
            return true;
    return false;
}

/* Fails call after call; with `code` 0 each gives its own. Returns the number of runs that ended in an error. */
static int fail_each(cl_int code, int stay) {
    int failed = 0;
    for (long n = 1;; n++) {
        fake_reset();
        memset(&failure, 0, sizeof failure);
        product.log[0] = '\0';
        fake_fail(n, code, stay);
        enum moxie_error e = whole_way(&failure);
        assert_int_equal(fake_live(), 0);
        if (!fake.failed) {
            check_ok(e, failure);
            return failed;
        }
        if (e == MOXIE_OK)
            assert_true(may_fail(fake.failed));
        else {
            assert_true(e >= 400 && e < 600 && failure.code == e);
            assert_int_equal(failure.cl, fake.code);
            if (!stay && !strstr(failure.what, fake.failed))
                fail_msg("%s failed, but the text is: %s", fake.failed, failure.what);
        }
        failed += e != MOXIE_OK;
    }
}

static void test_fail_each_call(void **state) {
    (void)state;
    assert_true(fail_each(0, 0) > 50);
    assert_int_equal(product.stored, 1);
    /* now with a cached binary */
    assert_true(fail_each(0, 0) > 50);
}

static void test_lost_device(void **state) {
    (void)state;
    struct mx_launch launch;
    const uint32_t counts[MX_COUNTS] = {[MX_COPIES] = 1};
    assert_true(fail_each(CL_DEVICE_NOT_AVAILABLE, 1) > 50);
    fake_reset();
    open_checked(&callbacks, MX_DOT_PORTABLE);
    check_ok(bind_copy(&launch, 1, &failure), failure);
    mx_launch_grid(&cl, &launch, &(struct mx_grid){.work = MX_WORK_GRID, .count = MX_COPIES, .items = 1});
    fake_fail(1, CL_OUT_OF_RESOURCES, 1);
    check_error(mx_launch_run(&cl, &launch, counts, NULL, &failure), MOXIE_ERROR_DEVICE_LOST);
    check_error(mx_cl_finish(&cl, &failure), MOXIE_ERROR_DEVICE_LOST);
    assert_non_null(strstr(failure.what, "clFinish"));
    assert_int_equal(failure.cl, CL_OUT_OF_RESOURCES);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_launch),
        TEST(test_compile_error),
        TEST(test_progress),
        TEST(test_copy_answer),
        TEST(test_known_answer),
        TEST(test_wrong_variant),
        TEST(test_variant_does_not_compile),
        TEST(test_cache),
        TEST(test_fail_each_call),
        TEST(test_lost_device),
    };
    return check_run(tests);
}
