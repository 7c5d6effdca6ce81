/* SPDX-License-Identifier: Apache-2.0
 *
 * Engines on devices that are not here: the driver is asked through tests/fake_opencl.c, which lies about memory. */
#define _GNU_SOURCE /* readlink, popen */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/crypto.h"
#include "tests/engine_checkpoint.h"
#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"
#include "tests/importer_files.h"

struct world {
    struct kit kit;
    int32_t tokens[KIT_TOKENS];
    float *want, *got;
};

/* The logits of the device as it is. */
static void open_world(struct world *w, const char *name, enum pk_weights weights) {
    const struct moxie_config config = kit_config();
    memset(w, 0, sizeof *w);
    kit_open(&w->kit, name, weights);
    kit_tokens(name, w->tokens);
    w->want = kit_rows(&w->kit);
    w->got = kit_rows(&w->kit);
    kit_start(&w->kit, &config);
    kit_feed(&w->kit, 0, w->tokens, KIT_TOKENS, KIT_TOKENS, w->want);
    kit_stop(&w->kit);
}

static void close_world(struct world *w) {
    free(w->want);
    free(w->got);
    kit_close(&w->kit);
}

static void check_same(struct world *w, const char *what) {
    const struct moxie_config config = kit_config();
    kit_start(&w->kit, &config);
    kit_feed(&w->kit, 0, w->tokens, KIT_TOKENS, 50, w->got);
    kit_same(&w->kit, what, w->got, w->want, KIT_TOKENS);
    kit_stop(&w->kit);
}

/* Weights are uploaded, regions live on the device. */
static void test_own_memory(void **state) {
    struct world w;
    (void)state;
    for (int i = 0; i < 2; i++) {
        fake_reset();
        open_world(&w, "moe-sparse-step", i ? PK_WEIGHTS_KEEP : PK_WEIGHTS_INT4);
        kit_discrete();
        check_same(&w, "a device with memory of its own");
        assert_true(w.kit.plan.device_bytes > w.kit.plan.weight_bytes);
        close_world(&w);
    }
}

/* ---- The kernels as a GPU gets them: work-groups in which work-items are the lanes ----
 * Oclgrind runs them, in a process of its own: PoCL 3.1 is wrong with local arrays. */

static const struct moxie_tunables portable = {.size = sizeof portable, .without = UINT32_MAX};

/* Logits of a step of 10 tokens and one of a single token, in hexadecimal. */
static void short_digest(enum pk_weights weights, bool lanes, char hex[65]) {
    struct kit kit = {.engine = NULL};
    struct moxie_config config = MOXIE_CONFIG;
    int32_t tokens[KIT_TOKENS];
    uint8_t digest[32];
    config.context = 64;
    config.step_tokens = 10;
    config.step_logits = 10;
    config.tunables = &portable;
    config.no_verify = 1; /* a simulator hashes slowly, the host does not */
    kit_open(&kit, "moe-sparse-step", weights);
    check_ok(moxie_bundle_verify(&kit.bundle, NULL, NULL, &kit.failure), kit.failure);
    kit_tokens("moe-sparse-step", tokens);
    if (lanes) {
        fake_device_info(CL_DEVICE_TYPE, CL_DEVICE_TYPE_GPU);
        fake_device_info(CL_DEVICE_HOST_UNIFIED_MEMORY, CL_FALSE);
        fake_device_info(CL_DEVICE_MAX_WORK_GROUP_SIZE, 64);
    }
    kit_start(&kit, &config);
    float *rows = kit_rows(&kit);
    kit_feed(&kit, 0, tokens, 11, 10, rows);
    mx_sha256(rows, sizeof(float) * 11 * kit.model.vocab, digest);
    for (int i = 0; i < 32; i++) {
        snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    free(rows);
    kit_close(&kit);
}

static void check_lanes(enum pk_weights weights) {
    char self[512], command[1024], want[65], got[65] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    short_digest(weights, false, want);
    snprintf(command, sizeof command, "oclgrind '%s' --lanes %d", self, (int)weights);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    assert_int_equal(fread(got, 1, 64, child), 64);
    assert_int_equal(pclose(child), 0);
    assert_string_equal(got, want);
}

static void test_lanes(void **state) {
    (void)state;
    check_lanes(PK_WEIGHTS_INT4);
    check_lanes(PK_WEIGHTS_F32);
}

/* ---- Memory ---- */

/* Weights in several windows, cut between layers, and inside of a layer's experts: a launch then reads through two. */
static void test_windows(void **state) {
    const struct checkpoint_shape shape = {.layers = 3,
                                           .hidden = 128,
                                           .heads = 4,
                                           .kv_heads = 2,
                                           .width = 64,
                                           .experts = 24, /* of 96 KiB: 2.3 MiB in a layer */
                                           .top_k = 4,
                                           .vocab = 60,
                                           .positions = KIT_CONTEXT};
    static const uint32_t windows[] = {1, 3, 4}; /* at 16, 3 and 2 MiB */
    static const cl_ulong limit[] = {16u << 20, 3u << 20, 2u << 20};
    char *folder = checkpoint_make(&shape);
    struct world w = {.want = NULL};
    struct moxie_config config = MOXIE_CONFIG;
    (void)state;
    config.context = KIT_CONTEXT;
    config.step_tokens = 50;
    config.step_logits = 50;
    for (int i = 0; i < KIT_TOKENS; i++) {
        w.tokens[i] = i * 17 % 60;
    }
    kit_open(&w.kit, folder, PK_WEIGHTS_F32);
    w.want = kit_rows(&w.kit);
    w.got = kit_rows(&w.kit);
    for (int i = 0; i < 3; i++) {
        fake_reset();
        fake_device_info(CL_DEVICE_MAX_MEM_ALLOC_SIZE, limit[i]);
        kit_start(&w.kit, &config);
        assert_int_equal(w.kit.plan.windows, windows[i]);
        kit_feed(&w.kit, 0, w.tokens, KIT_TOKENS, 50, i ? w.got : w.want);
        if (i) {
            kit_same(&w.kit, "several windows", w.got, w.want, KIT_TOKENS);
        }
        kit_stop(&w.kit);
    }
    fake_reset();
    fake_device_info(CL_DEVICE_MAX_MEM_ALLOC_SIZE, 5u << 18); /* 1.25 MiB: a layer would need three */
    check_error(moxie_init(&w.kit.engine, &w.kit.bundle, &config, NULL, NULL, &w.kit.failure),
                MOXIE_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(w.kit.failure.what, "layer 0"));
    close_world(&w);
    remove_folder(folder);
}

/* Refused with numbers before anything is created. */
static void test_too_small(void **state) {
    struct kit kit = {.engine = NULL};
    const struct moxie_config config = kit_config();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);
    fake_device_info(CL_DEVICE_GLOBAL_MEM_SIZE, 1u << 20);
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, NULL, &kit.failure), MOXIE_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(kit.failure.what, "1048576"));
    assert_null(kit.engine);
    fake_reset();
    fake_device_info(CL_DEVICE_MAX_MEM_ALLOC_SIZE, 4096);
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, NULL, &kit.failure), MOXIE_ERROR_DEVICE_MEMORY);
    assert_int_equal(fake.creates, 0);
    fake_reset();
    fake_fail_name("clGetPlatformIDs", -1001);
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, NULL, &kit.failure), MOXIE_ERROR_NO_DEVICE);
    assert_non_null(strstr(kit.failure.what, "pocl-opencl-icd"));
    kit_close(&kit);
}

/* The driver says no where the plan had said yes. */
static void test_allocation_fails(void **state) {
    struct kit kit = {.engine = NULL};
    const struct moxie_config config = kit_config();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);
    fake_fail_name("clCreateBuffer", CL_MEM_OBJECT_ALLOCATION_FAILURE);
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, NULL, &kit.failure), MOXIE_ERROR_DEVICE_MEMORY);
    assert_int_equal(kit.failure.cl, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    assert_non_null(strstr(kit.failure.what, "clCreateBuffer"));
    kit_close(&kit);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--lanes") == 0) { /* the child of test_lanes */
        char hex[65];
        fake_reset();
        short_digest((enum pk_weights)atoi(argv[2]), true, hex);
        return fputs(hex, stdout) < 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_own_memory, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_lanes, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_windows, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_too_small, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_allocation_fails, fake_begin, fake_end),
    };
    return check_run(tests);
}
