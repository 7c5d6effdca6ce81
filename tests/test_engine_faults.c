/* SPDX-License-Identifier: Apache-2.0
 *
 * Every OpenCL call of an engine's life fails once: call n for every n, from the first question to the driver to the
 * last read of a step. The failure comes back as an error that names the call, nothing leaks, and the memory can be
 * used again. Kernels come from a cache of binaries, without which this would take minutes; building from source has a
 * test of its own. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/engine_checkpoint.h"
#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"
#include "tests/importer_files.h"

enum { BINARIES = 32, TOKENS = 24, MORE = 20, VOCAB = 40 };

/* ---- The product's kernel cache ---- */

static struct {
    uint8_t key[32];
    void *bytes;
    size_t n;
} binary[BINARIES];
static int binaries;

static size_t cache_load(void *user, const uint8_t key[32], void *bytes, size_t max) {
    (void)user;
    for (int i = 0; i < binaries; i++) {
        if (memcmp(binary[i].key, key, 32) == 0 && binary[i].n <= max) {
            memcpy(bytes, binary[i].bytes, binary[i].n);
            return binary[i].n;
        }
    }
    return 0;
}

static void cache_store(void *user, const uint8_t key[32], const void *bytes, size_t n) {
    (void)user;
    for (int i = 0; i < binaries; i++) {
        if (memcmp(binary[i].key, key, 32) == 0) {
            return; /* built again because the binary was made to fail */
        }
    }
    assert_true(binaries < BINARIES);
    memcpy(binary[binaries].key, key, 32);
    binary[binaries].bytes = malloc(n);
    memcpy(binary[binaries].bytes, bytes, n);
    binary[binaries++].n = n;
}

/* ---- An engine's life ---- */

struct world {
    struct kit kit;
    struct moxie_region region[MOXIE_REGIONS];
    float want[2][VOCAB]; /* after the prefill, after the second step */
    bool cached;          /* the product has a kernel cache */
};
static struct world w;

static void tokens_of(int32_t *tokens, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)((first + i) * 11 % VOCAB);
    }
}

struct life {
    enum moxie_error error;
    uint32_t steps; /* that succeeded */
    bool same;      /* logits are those of an engine to which nothing happened */
};

/* Init, a prefill long enough to wait between layers, a fork, a step that copies the shared block. The sequences are as
 * before when a step fails, and the engine then refuses to go on. */
static struct life live(float got[2][VOCAB]) {
    struct life life = {.same = true};
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    struct moxie_config config = MOXIE_CONFIG;
    struct moxie_failure *f = &w.kit.failure;
    int32_t tokens[TOKENS];
    struct moxie_entry entries[MORE];
    config.context = 128;
    config.sequences = 2;
    config.step_tokens = 32;
    config.step_logits = 1;
    if (w.cached) {
        callbacks.cache_load = cache_load;
        callbacks.cache_store = cache_store;
    }
    for (int i = 0; i < MOXIE_REGIONS; i++) { /* whatever an earlier life left there */
        memset(w.region[i].pointer, 0xa5, 4096);
    }
    memset(f, 0, sizeof *f);
    life.error = moxie_init(&w.kit.engine, &w.kit.bundle, &config, w.region, &callbacks, f);
    if (life.error) {
        assert_null(w.kit.engine);
        return life;
    }
    struct moxie *e = w.kit.engine;
    for (uint32_t step = 0; step < 2 && !life.error; step++) {
        if (step == 0) {
            tokens_of(tokens, 0, TOKENS);
            life.error = moxie_prefill(e, 0, tokens, TOKENS, f);
        } else {
            check_ok(moxie_sequence_fork(e, 0, 1, TOKENS, f), *f);
            tokens_of(tokens, TOKENS, MORE);
            kit_entries(entries, 1, TOKENS, tokens, MORE, false);
            entries[MORE - 1].want_logits = 1;
            life.error = moxie_step(e, entries, MORE, f);
        }
        const float *row = moxie_logits(e, 0);
        assert_true((row == NULL) == (life.error != MOXIE_OK));
        if (row) {
            memcpy(got[step], row, sizeof got[step]);
            life.same = life.same && memcmp((const void *)row, (const void *)w.want[step], sizeof w.want[step]) == 0;
            life.steps++;
        }
    }
    assert_int_equal(moxie_sequence_length(e, 0), life.steps > 0 ? TOKENS : 0);
    assert_int_equal(moxie_sequence_length(e, 1), life.steps == 2 ? TOKENS + MORE : life.steps == 1 ? TOKENS : 0);
    if (life.error) {
        struct moxie_failure again;
        struct moxie_entry entry = {.position = moxie_sequence_length(e, 0)};
        check_error(moxie_step(e, &entry, 1, &again), MOXIE_ERROR_DEVICE_LOST);
    }
    moxie_close(e);
    w.kit.engine = NULL;
    return life;
}

static void open_world(void) {
    const struct checkpoint_shape shape = {.layers = 1,
                                           .hidden = 32,
                                           .heads = 2,
                                           .kv_heads = 1,
                                           .width = 16,
                                           .experts = 3,
                                           .top_k = 2,
                                           .vocab = VOCAB,
                                           .positions = 128};
    struct moxie_device_facts facts;
    struct moxie_plan plan;
    struct moxie_config config = MOXIE_CONFIG;
    char *folder = checkpoint_make(&shape);
    fake_reset();
    memset(&w, 0, sizeof w);
    kit_open(&w.kit, folder, PK_WEIGHTS_INT8);
    remove_folder(folder);
    config.context = 128;
    config.sequences = 2;
    config.step_tokens = 32;
    config.step_logits = 1;
    check_ok(moxie_device_facts(0, &facts, &w.kit.failure), w.kit.failure);
    check_ok(moxie_plan(&w.kit.bundle, &facts, &config, &plan, &w.kit.failure), w.kit.failure);
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        w.region[i].bytes = (size_t)plan.region_bytes[i];
        w.region[i].pointer = aligned_alloc(4096, w.region[i].bytes);
        assert_non_null(w.region[i].pointer);
    }
}

static void close_world(void) {
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        free(w.region[i].pointer);
    }
    kit_close(&w.kit);
}

/* A life without failures; gives the number of its calls. */
static long measure(void) {
    fake_reset();
    struct life life = live(w.want);
    check_ok(life.error, w.kit.failure);
    assert_int_equal(life.steps, 2);
    assert_int_equal(fake_live(), 0);
    return fake.calls;
}

/* A failure may be survived, if the bits are right: the cache is a cache, a variant has a portable kernel behind it. */
static void check_life(long n) {
    float got[2][VOCAB];
    struct life life = live(got);
    if (!fake.failed) {
        fail_msg("call %ld was not made", n);
        return;
    }
    if (fake_live() != 0) {
        fail_msg("call %ld, %s: %ld objects are left", n, fake.failed, fake_live());
    }
    if (!life.error) {
        assert_int_equal(life.steps, 2);
        assert_true(life.same);
        return;
    }
    const struct moxie_failure *f = &w.kit.failure;
    if (f->code != life.error || !strstr(f->what, fake.failed) || (f->cl != fake.code && f->cl != 0)) {
        fail_msg("call %ld, %s answers %d: error %d says %d, \"%s\" (%d)", n, fake.failed, fake.code, life.error,
                 f->code, f->what, f->cl);
    }
}

static void test_each_call(void **state) {
    (void)state;
    open_world();
    w.cached = true;
    measure(); /* fills the cache */
    long calls = measure();
    print_message("%ld calls\n", calls);
    assert_true(calls > 300);
    for (long n = 1; n <= calls; n++) {
        fake_reset();
        fake_fail(n, 0, 0);
        check_life(n);
    }
    assert_int_equal(measure(), calls); /* all is as it was */
    close_world();
}

/* The device is gone from some call on: every later call fails too, those of the clean-up included. */
static void test_device_gone(void **state) {
    (void)state;
    open_world();
    w.cached = true;
    measure();
    long calls = measure();
    for (long n = 1; n <= calls; n += n < calls - 60 ? 13 : 1) {
        float got[2][VOCAB];
        fake_reset();
        fake_fail(n, CL_DEVICE_NOT_AVAILABLE, 1);
        struct life life = live(got);
        if (life.error) {
            assert_true(life.error == w.kit.failure.code && w.kit.failure.what[0]);
        } else { /* only closing was left to do */
            assert_true(life.steps == 2 && life.same && n > calls - 3);
        }
        assert_int_equal(fake_live(), 0);
    }
    close_world();
}

/* Building from source, each call of which fails whenever it is made. */
static void test_building(void **state) {
    static const char *const names[] = {"clCreateProgramWithSource", "clBuildProgram", "clCreateKernel",
                                        "clGetKernelInfo"};
    static const enum moxie_error codes[] = {MOXIE_ERROR_OPENCL, MOXIE_ERROR_COMPILE, MOXIE_ERROR_OPENCL,
                                             MOXIE_ERROR_OPENCL};
    float got[2][VOCAB];
    (void)state;
    open_world();
    measure();
    for (int i = 0; i < 4; i++) {
        fake_reset();
        fake_fail_name(names[i], i == 1 ? CL_BUILD_PROGRAM_FAILURE : CL_INVALID_OPERATION);
        struct life life = live(got);
        assert_int_equal(life.error, codes[i]);
        assert_non_null(strstr(w.kit.failure.what, names[i]));
        assert_int_equal(fake_live(), 0);
    }
    measure();
    close_world();
}

static int forget_binaries(void **state) {
    (void)state;
    while (binaries > 0) {
        free(binary[--binaries].bytes);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call),
        cmocka_unit_test(test_device_gone),
        cmocka_unit_test(test_building),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, forget_binaries);
}
