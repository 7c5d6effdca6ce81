/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices and their memory on a real driver, with the fake OpenCL in between. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/check.h"

#include <string.h>
#include <sys/mman.h>

#include "opencl/cl_host.h"
#include "opencl/device.h"
#include "opencl/tunables.h"
#include "runtime/sha256_blocks.h"
#include "tests/fake_opencl.h"

enum { OBJECTS = 256, SCRATCH = 1 << 20, REGION = 1 << 20 };

static struct mx_cl cl;
static struct mx_object objects[OBJECTS];
static uint8_t scratch[SCRATCH];
static _Alignas(4096) uint8_t host[REGION];
static struct moxie_failure failure;
static const struct moxie_tunables portable = {.size = sizeof portable, .without = UINT32_MAX};

static void open_device(void) {
    check_ok(mx_cl_open(&cl, 0, objects, OBJECTS, scratch, SCRATCH, NULL, &portable, &failure), failure);
}

/* Whatever the test did: nothing is left behind. */
static int end(void **state) {
    mx_cl_close(&cl);
    return fake_end(state);
}

/* ---- Devices ---- */

static void test_facts(void **state) {
    (void)state;
    uint32_t count = 0;
    struct moxie_device_facts facts;
    check_ok(moxie_device_count(&count, &failure), failure);
    assert_true(count >= 1);
    check_ok(moxie_device_facts(0, &facts, &failure), failure);
    assert_int_equal(facts.size, sizeof facts);
    assert_true(facts.global_bytes >= 64u << 20 && facts.max_alloc_bytes >= facts.global_bytes / 8);
    assert_true(facts.compute_units >= 1 && facts.max_work_group >= 1 && facts.base_align_bytes >= 4);
    assert_true(facts.platform[0] && facts.name[0] && facts.driver[0]);
    assert_int_equal(strncmp(facts.version, "OpenCL ", 7), 0);
    check_error(moxie_device_facts(count, &facts, &failure), MOXIE_ERROR_NO_DEVICE);
    check_error(moxie_device_facts(0, NULL, &failure), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_device_count(NULL, NULL), MOXIE_ERROR_ARGUMENT);
}

static void test_no_device(void **state) {
    (void)state;
    struct moxie_device_facts facts;
    uint32_t count = 7;
    fake_fail_name("clGetPlatformIDs", -1001);
    check_ok(moxie_device_count(&count, &failure), failure);
    assert_int_equal(count, 0);
    check_error(moxie_device_facts(0, &facts, &failure), MOXIE_ERROR_NO_DEVICE);
    assert_non_null(strstr(failure.what, "pocl-opencl-icd"));
    assert_int_equal(failure.cl, -1001);
    fake_fail_name("clGetDeviceIDs", CL_DEVICE_NOT_FOUND);
    check_error(mx_cl_open(&cl, 0, objects, OBJECTS, scratch, SCRATCH, NULL, &portable, &failure),
                MOXIE_ERROR_NO_DEVICE);
    assert_non_null(strstr(failure.what, "there is a driver, and it offers none"));
}

static void test_unfit(void **state) {
    (void)state;
    const struct moxie_device_facts good = {.version = "OpenCL 1.2 x",
                                            .name = "thing",
                                            .little_endian = 1,
                                            .fp_config = CL_FP_ROUND_TO_NEAREST | CL_FP_INF_NAN,
                                            .base_align_bytes = 128,
                                            .max_work_group = 1,
                                            .compute_units = 1,
                                            .max_alloc_bytes = 1};
    struct moxie_device_facts bad[7] = {good, good, good, good, good, good, good};
    static const char *const words[7] = {"OpenCL 1.2", "big-endian", "nearest",   "infinit",
                                         "4096",       "unit",       "OpenCL 1.2"};
    strcpy(bad[0].version, "OpenCL 1.1 x");
    bad[1].little_endian = 0;
    bad[2].fp_config = CL_FP_INF_NAN;
    bad[3].fp_config = CL_FP_ROUND_TO_NEAREST;
    bad[4].base_align_bytes = 8192;
    bad[5].compute_units = 0;
    strcpy(bad[6].version, "nonsense");
    check_ok(mx_device_accept(&good, &failure), failure);
    for (int i = 0; i < 7; i++) {
        check_error(mx_device_accept(&bad[i], &failure), MOXIE_ERROR_DEVICE_UNFIT);
        assert_non_null(strstr(failure.what, words[i]));
        assert_non_null(strstr(failure.what, "thing"));
    }
}

static void test_variant_choice(void **state) {
    (void)state;
    struct moxie_device_facts facts = {.type = CL_DEVICE_TYPE_CPU, .platform = "Portable Computing Language"};
    enum mx_dot best = mx_device_dot(&facts, 0);
#if defined(__x86_64__)
    enum mx_dot expected = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") ? MX_DOT_VNNI512
                           : __builtin_cpu_supports("avx2")                                           ? MX_DOT_AVX2
                                                                                                      : MX_DOT_PORTABLE;
    assert_int_equal(best, expected);
    assert_int_equal(mx_device_sha256(&facts, MX_DOT_AVX2), __builtin_cpu_supports("avx2") && mx_sha256_x86_usable());
#else
    assert_int_equal(best, MX_DOT_PORTABLE);
#endif
    assert_false(mx_device_sha256(&facts, MX_DOT_PORTABLE) || mx_device_sha256(&facts, MX_DOT_VNNI512));
    facts.type = CL_DEVICE_TYPE_GPU;
    assert_int_equal(mx_device_dot(&facts, 0), MX_DOT_PORTABLE);
    assert_false(mx_device_sha256(&facts, MX_DOT_AVX2));
    facts = (struct moxie_device_facts){.type = CL_DEVICE_TYPE_CPU, .platform = "rusticl"};
    assert_int_equal(mx_device_dot(&facts, 0), MX_DOT_PORTABLE);
    static const struct {
        uint32_t capability;
        enum mx_dot dot;
    } nvidia[] = {{0, MX_DOT_PORTABLE}, {60, MX_DOT_PORTABLE}, {61, MX_DOT_DP4A}, {75, MX_DOT_DP4A},
                  {80, MX_DOT_MMA},     {86, MX_DOT_MMA},      {90, MX_DOT_MMA},  {120, MX_DOT_MMA}};
    for (size_t i = 0; i < sizeof nvidia / sizeof nvidia[0]; i++) {
        facts = (struct moxie_device_facts){
            .type = CL_DEVICE_TYPE_GPU, .platform = "NVIDIA CUDA", .compute_capability = nvidia[i].capability};
        assert_int_equal(mx_device_dot(&facts, 0), nvidia[i].dot);
        strcpy(facts.platform, "Another");
        assert_int_equal(mx_device_dot(&facts, 0), MX_DOT_PORTABLE);
    }
}

static void test_variant_left_out(void **state) {
    (void)state;
    const struct moxie_device_facts nvidia = {
        .type = CL_DEVICE_TYPE_GPU, .platform = "NVIDIA CUDA", .compute_capability = 90};
    assert_int_equal(mx_device_dot(&nvidia, 1u << MX_DOT_MMA), MX_DOT_DP4A);
    assert_int_equal(mx_device_dot(&nvidia, 1u << MX_DOT_MMA | 1u << MX_DOT_DP4A), MX_DOT_PORTABLE);
    assert_int_equal(mx_device_dot(&nvidia, 1u << MX_DOT_AVX2), MX_DOT_MMA);
    assert_int_equal(mx_device_dot(&nvidia, UINT32_MAX), MX_DOT_PORTABLE);
}

/* ---- Boards ---- */

static void test_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool fits;
    } tries[] = {
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"abc", "ab", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*", "abc", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"*b*b*", "abab", true},
        {"*b*b*", "aba", false},
        {"x|abc", "abc", true},
        {"abc|x", "x", true},
        {"x|y", "x|y", false},
        {"*H100*|*H200*", "a H200", true},
        {"*H100*|*H200*", "a H20", false},
        {"|a", "", true},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        if (mx_pattern_fits(tries[i].pattern, tries[i].text) != tries[i].fits)
            fail_msg("'%s' and '%s'", tries[i].pattern, tries[i].text);
}

static void test_board_of(void **state) {
    (void)state;
    static const struct mx_board boards[] = {
        {.board = "a", .platform = "P*"},
        {.board = "b", .platform = "P", .version = "2"},
        {.board = "c", .name = "N", .version = "*"},
        {.board = "d", .platform = "P", .name = "N", .version = "3"},
        {.board = NULL},
    };
    const struct {
        char platform, name, version;
        const char *board;
    } tries[] = {
        {'P', 'M', '1', "a"}, {'P', 'M', '2', "b"}, {'P', 'N', '2', "b"},
        {'P', 'N', '1', "c"}, {'P', 'N', '3', "d"}, {'Q', 'M', '1', NULL},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct moxie_device_facts facts = {.type = CL_DEVICE_TYPE_CPU};
        facts.platform[0] = tries[i].platform;
        facts.name[0] = tries[i].name;
        facts.version[0] = tries[i].version;
        const struct mx_board *b = mx_board_of(boards, &facts);
        assert_int_equal(b == NULL, tries[i].board == NULL);
        if (b)
            assert_string_equal(b->board, tries[i].board);
    }
}

/* What is asked for comes first, then the board's, then what the facts suggest. */
static void test_tunables(void **state) {
    (void)state;
    struct moxie_device_facts facts = {
        .type = CL_DEVICE_TYPE_CPU, .max_work_group = 256, .platform = "rusticl", .name = "llvmpipe (LLVM 15)"};
    struct moxie_tunables asked = MOXIE_TUNABLES, t;
    const char *board = NULL;
    check_ok(moxie_device_tunables(&facts, NULL, &t, &board, &failure), failure);
    assert_string_equal(board, "host-rusticl");
    assert_int_equal(t.work_group, 128);
    assert_int_equal(t.loop_rounds, 65535);
    for (const struct mx_board *b = mx_boards; b->board; b++)
        check_ok(mx_tunables_check(&b->tunables, 256, &failure), failure);
    asked.work_group = 256;
    asked.unit_entries = 32;
    check_ok(moxie_device_tunables(&facts, &asked, &t, &board, &failure), failure);
    assert_int_equal(t.work_group, 256);
    assert_int_equal(t.unit_entries, 32);
    facts.max_work_group = 128;
    check_error(moxie_device_tunables(&facts, &asked, &t, &board, &failure), MOXIE_ERROR_ARGUMENT);
    strcpy(facts.platform, "Another");
    check_ok(moxie_device_tunables(&facts, NULL, &t, &board, &failure), failure);
    assert_null(board);
    assert_int_equal(t.work_group, 1);
    facts.type = CL_DEVICE_TYPE_GPU;
    check_ok(moxie_device_tunables(&facts, NULL, &t, NULL, &failure), failure);
    assert_int_equal(t.work_group, 128);
    asked.size = 4;
    check_error(moxie_device_tunables(&facts, &asked, &t, NULL, &failure), MOXIE_ERROR_VERSION);
    check_error(moxie_device_tunables(NULL, NULL, &t, NULL, &failure), MOXIE_ERROR_ARGUMENT);
}

/* ---- Memory ---- */

static void memory(int unified) {
    cl_mem window, region, part;
    uint8_t back[8192];
    uint8_t *weights = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(weights != MAP_FAILED);
    for (int i = 0; i < 8192; i++)
        weights[i] = (uint8_t)(i * 7);
    assert_int_equal(mprotect(weights, 8192, PROT_READ), 0);
    open_device();
    cl.facts.host_unified = (uint32_t)unified;
    check_ok(mx_cl_window(&cl, weights, 8192, &window, &failure), failure);
    check_ok(mx_cl_read(&cl, window, 0, back, 8192, &failure), failure);
    assert_memory_equal(back, weights, 8192);

    memset(host, 0x5a, sizeof host);
    check_ok(mx_cl_region(&cl, host, REGION, &region, &failure), failure);
    check_ok(mx_cl_sub(&cl, region, 4096, 100, &part, &failure), failure);
    check_ok(mx_cl_write(&cl, part, 10, weights, 20, &failure), failure);
    check_ok(mx_cl_finish(&cl, &failure), failure);
    check_ok(mx_cl_read(&cl, region, 4096, back, 100, &failure), failure);
    for (int i = 0; i < 100; i++)
        assert_int_equal(back[i], i >= 10 && i < 30 ? weights[i - 10] : 0);
    check_ok(mx_cl_read(&cl, region, REGION - 8192, back, 8192, &failure), failure);
    for (int i = 0; i < 8192; i++)
        assert_int_equal(back[i], 0);

    cl.facts.max_alloc_bytes = 4096;
    check_error(mx_cl_region(&cl, host, 8192, &region, &failure), MOXIE_ERROR_DEVICE_MEMORY);
    check_error(mx_cl_sub(&cl, part, 4096, 4096, &region, &failure), MOXIE_ERROR_OPENCL);
    assert_non_null(strstr(failure.what, "clCreateSubBuffer"));
    mx_cl_close(&cl);
    munmap(weights, 8192);
}

static void test_memory_shared(void **state) {
    (void)state;
    memory(1);
}

static void test_memory_discrete(void **state) {
    (void)state;
    memory(0);
}

static void test_too_many_objects(void **state) {
    (void)state;
    cl_mem mem;
    open_device();
    cl.max_objects = cl.n_objects;
    check_error(mx_cl_region(&cl, host, 4096, &mem, &failure), MOXIE_ERROR_MEMORY);
    mx_cl_close(&cl);
    check_error(mx_cl_open(&cl, 0, objects, 1, scratch, SCRATCH, NULL, &portable, &failure), MOXIE_ERROR_MEMORY);
    check_error(mx_cl_open(&cl, 0, objects, OBJECTS, scratch, 10, NULL, &portable, &failure), MOXIE_ERROR_MEMORY);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_facts),           TEST(test_no_device),        TEST(test_unfit),
        TEST(test_variant_choice),  TEST(test_variant_left_out), TEST(test_patterns),
        TEST(test_board_of),        TEST(test_tunables),         TEST(test_memory_shared),
        TEST(test_memory_discrete), TEST(test_too_many_objects),
    };
    return check_run(tests);
}
