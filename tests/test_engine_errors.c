/* SPDX-License-Identifier: Apache-2.0
 *
 * Init and steps that fail: memory that is too small, values that are not finite, callers that cancel or err. Nothing
 * is left behind, and what was there before still works. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"
#include "tests/importer_files.h"

static struct moxie_config config(void) {
    struct moxie_config c = kit_config();
    c.step_tokens = 64;
    c.step_logits = 64;
    return c;
}

/* ---- The caller's memory ---- */

enum { SPARE = 2 }; /* pages that nobody may touch, before and behind each region */

static uint8_t *reserve(size_t bytes) {
    size_t all = bytes + (size_t)2 * SPARE * 4096;
    uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + (size_t)SPARE * 4096, bytes, PROT_READ | PROT_WRITE), 0);
    memset(p + (size_t)SPARE * 4096, 0xa5, bytes); /* not zeros: init must not rely on them */
    return p + (size_t)SPARE * 4096;
}

static void release(uint8_t *p, size_t bytes) {
    munmap(p - (size_t)SPARE * 4096, bytes + (size_t)2 * SPARE * 4096);
}

/* Grown page by page near its end, each region is refused until it has what the plan says; then the engine runs in it,
 * is closed, and another runs in the same bytes. */
static void test_given_memory(void **state) {
    static const char *const names[MOXIE_REGIONS] = {"HOST", "SESSION", "STEP"};
    struct kit kit = {.engine = NULL};
    struct moxie_plan plan;
    struct moxie_device_facts facts;
    struct moxie_region region[MOXIE_REGIONS];
    int32_t tokens[KIT_TOKENS];
    const struct moxie_config c = config();
    (void)state;
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    kit_tokens("moe-sparse-step", tokens);
    float *want = kit_rows(&kit), *got = kit_rows(&kit);
    kit_start(&kit, &c);
    kit_feed(&kit, 0, tokens, KIT_TOKENS, 64, want);
    kit_stop(&kit);

    check_ok(moxie_device_facts(0, &facts, &kit.failure), kit.failure);
    check_ok(moxie_plan(&kit.bundle, &facts, &c, &plan, &kit.failure), kit.failure);
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        region[i].bytes = (size_t)plan.region_bytes[i];
        region[i].pointer = reserve(region[i].bytes);
    }
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        const struct moxie_region whole = region[i], next = region[(i + 1) % MOXIE_REGIONS];
        for (size_t missing = 3; missing > 0; missing--) {
            region[i].bytes = whole.bytes - missing * 4096;
            check_error(moxie_init(&kit.engine, &kit.bundle, &c, region, NULL, &kit.failure), MOXIE_ERROR_MEMORY);
            assert_non_null(strstr(kit.failure.what, names[i]));
            assert_int_equal(kit.failure.offset, whole.bytes); /* what it takes */
            assert_null(kit.engine);
        }
        region[i].bytes = whole.bytes;
        region[i].pointer = (uint8_t *)whole.pointer + 64;
        check_error(moxie_init(&kit.engine, &kit.bundle, &c, region, NULL, &kit.failure), MOXIE_ERROR_MEMORY);
        assert_non_null(strstr(kit.failure.what, "align"));
        region[i] = whole;
        region[(i + 1) % MOXIE_REGIONS].pointer = (uint8_t *)whole.pointer + whole.bytes - 4096;
        check_error(moxie_init(&kit.engine, &kit.bundle, &c, region, NULL, &kit.failure), MOXIE_ERROR_MEMORY);
        assert_non_null(strstr(kit.failure.what, "overlap"));
        region[(i + 1) % MOXIE_REGIONS] = next;
    }
    assert_int_equal(fake.creates, fake.releases);
    for (int again = 0; again < 2; again++) {
        check_ok(moxie_init(&kit.engine, &kit.bundle, &c, region, NULL, &kit.failure), kit.failure);
        assert_ptr_equal(kit.engine, region[MOXIE_REGION_HOST].pointer);
        kit_feed(&kit, 0, tokens, KIT_TOKENS, 64, got);
        kit_same(&kit, "memory of the caller", got, want, KIT_TOKENS);
        kit_stop(&kit);
    }
    /* one region given, the others mapped */
    struct moxie_region some[MOXIE_REGIONS] = {[MOXIE_REGION_SESSION] = region[MOXIE_REGION_SESSION]};
    check_ok(moxie_init(&kit.engine, &kit.bundle, &c, some, NULL, &kit.failure), kit.failure);
    kit_feed(&kit, 0, tokens, KIT_TOKENS, 64, got);
    kit_same(&kit, "some memory of the caller", got, want, KIT_TOKENS);
    kit_stop(&kit);
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        release(region[i].pointer, region[i].bytes);
    }
    free(want);
    free(got);
    kit_close(&kit);
}

/* ---- Arguments ---- */

static void test_arguments(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_bundle closed = {{0}};
    struct moxie_config c = config();
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);
    check_error(moxie_init(NULL, &kit.bundle, &c, NULL, NULL, &kit.failure), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_init(&kit.engine, &kit.bundle, NULL, NULL, NULL, &kit.failure), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_init(&kit.engine, &closed, &c, NULL, NULL, &kit.failure), MOXIE_ERROR_STATE);
    check_error(moxie_init(&kit.engine, NULL, &c, NULL, NULL, NULL), MOXIE_ERROR_STATE);
    callbacks.size = 8;
    check_error(moxie_init(&kit.engine, &kit.bundle, &c, NULL, &callbacks, &kit.failure), MOXIE_ERROR_VERSION);
    c.size = 8;
    check_error(moxie_init(&kit.engine, &kit.bundle, &c, NULL, NULL, &kit.failure), MOXIE_ERROR_VERSION);
    c = config();
    c.device = 1000;
    check_error(moxie_init(&kit.engine, &kit.bundle, &c, NULL, NULL, &kit.failure), MOXIE_ERROR_NO_DEVICE);
    assert_null(kit.engine);
    assert_int_equal(moxie_sequence_length(NULL, 0), 0);
    assert_int_equal(moxie_sequence_room(NULL, 0), 0);
    assert_null(moxie_logits(NULL, 0));
    assert_int_equal(moxie_is_end(NULL, 0), 0);
    moxie_engine_plan(NULL, &(struct moxie_plan){0}, &(struct moxie_device_facts){0});
    moxie_close(NULL);
    kit_close(&kit);
}

/* ---- Cancelled by the progress callback, at each of its calls ---- */

struct progress {
    int calls, stop_at;
    int builds, verifies;
    bool whole; /* the last call told all of it */
};

static int progress(void *user, const char *what, uint64_t done, uint64_t total) {
    struct progress *p = user;
    assert_true(done <= total && total > 0);
    p->builds += strcmp(what, "build") == 0;
    p->verifies += strcmp(what, "verify") == 0;
    p->whole = done == total;
    return ++p->calls == p->stop_at;
}

static void test_init_cancelled(void **state) {
    struct kit kit = {.engine = NULL};
    struct progress p = {.stop_at = 0};
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    const struct moxie_config c = config();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);
    callbacks.progress = progress;
    callbacks.user = &p;
    check_ok(moxie_init(&kit.engine, &kit.bundle, &c, NULL, &callbacks, &kit.failure), kit.failure);
    kit_stop(&kit);
    assert_int_equal(p.calls, p.builds + p.verifies);
    assert_true(p.builds > 0 && p.verifies > 0 && p.whole);
    for (int n = p.calls; n >= 1; n -= n > 8 ? 5 : 1) {
        p = (struct progress){.stop_at = n};
        check_error(moxie_init(&kit.engine, &kit.bundle, &c, NULL, &callbacks, &kit.failure), MOXIE_ERROR_CANCELLED);
        assert_null(kit.engine);
        assert_int_equal(p.calls, n);
        assert_int_equal(fake_live(), 0);
    }
    kit_close(&kit);
}

/* ---- Values that are not finite ---- */

enum { BAD_TOKEN = 17 };

/* A token whose embedding overflows in the first norm: it fails by name, and the sequence goes on without it. */
static void test_not_finite(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_entry entries[KIT_TOKENS];
    int32_t tokens[KIT_TOKENS];
    const struct moxie_config c = config();
    (void)state;
    char *folder = kit_copy("moe-f32");
    kit_spoil(in_folder(folder, "model.safetensors"), "model.embed_tokens.weight", BAD_TOKEN * 48, 48, 3e38f);
    kit_open(&kit, folder, PK_WEIGHTS_KEEP);
    kit_start(&kit, &c);
    for (int i = 0; i < KIT_TOKENS; i++) {
        tokens[i] = i * 7 % 16;
    }
    float *want = kit_rows(&kit), *got = kit_rows(&kit);
    kit_feed(&kit, 0, tokens, KIT_TOKENS, 50, want);
    check_ok(moxie_sequence_truncate(kit.engine, 0, 0, &kit.failure), kit.failure);
    kit_feed(&kit, 0, tokens, 100, 50, got);
    for (uint32_t at = 0; at < 20; at += 19) { /* first or last of a step */
        kit_entries(entries, 0, 100, tokens + 100, 20, true);
        entries[at].token = BAD_TOKEN;
        check_error(moxie_step(kit.engine, entries, 20, &kit.failure), MOXIE_ERROR_NOT_FINITE);
        assert_int_equal(moxie_sequence_length(kit.engine, 0), 100);
        assert_null(moxie_logits(kit.engine, 0));
    }
    tokens[120] = BAD_TOKEN; /* in the second step of a prefill: the first is taken back */
    check_error(moxie_prefill(kit.engine, 0, tokens + 40, 92, &kit.failure), MOXIE_ERROR_NOT_FINITE);
    tokens[120] = 120 * 7 % 16;
    assert_int_equal(moxie_sequence_length(kit.engine, 0), 100);
    kit_feed(&kit, 0, tokens + 100, 50, 50, got);
    kit_same(&kit, "after a value that was not finite", got, want + (size_t)100 * kit.model.vocab, 50);
    free(want);
    free(got);
    kit_close(&kit);
    remove_folder(folder);
}

/* Values that are finite all the way and whose logit is not. */
static void test_logit_not_finite(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_entry entry = {.token = 1, .want_logits = 0};
    const struct moxie_config c = config();
    (void)state;
    char *folder = kit_copy("moe-f32");
    kit_spoil(in_folder(folder, "model.safetensors"), "lm_head.weight", 3 * 48, 48, 3e38f);
    kit_open(&kit, folder, PK_WEIGHTS_KEEP);
    kit_start(&kit, &c);
    check_ok(moxie_step(kit.engine, &entry, 1, &kit.failure), kit.failure); /* nobody looked */
    int infinite = 0;
    for (uint32_t i = 1; i < 20; i++) {
        entry = (struct moxie_entry){
            .position = moxie_sequence_length(kit.engine, 0), .token = (int32_t)i, .want_logits = 1};
        enum moxie_error e = moxie_step(kit.engine, &entry, 1, &kit.failure);
        const float *row = moxie_logits(kit.engine, 0);
        infinite += e == MOXIE_ERROR_NOT_FINITE;
        assert_true(e == MOXIE_ERROR_NOT_FINITE ? row == NULL : e == MOXIE_OK && isfinite(row[3]));
        assert_int_equal(moxie_sequence_length(kit.engine, 0), entry.position + (e == MOXIE_OK));
    }
    assert_true(infinite > 0);
    kit_close(&kit);
    remove_folder(folder);
}

/* A norm's weights that overflow: no token can be computed, with floats nor with quantised sites. */
static void test_norm_overflows(void **state) {
    static const enum pk_weights weights[] = {PK_WEIGHTS_KEEP, PK_WEIGHTS_INT4};
    static const char *const norms[] = {"model.layers.1.post_attention_layernorm.weight", "model.norm.weight",
                                        "model.layers.0.input_layernorm.weight"};
    const struct moxie_config c = config();
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct kit kit = {.engine = NULL};
        struct moxie_entry entry = {.token = 5, .want_logits = 1};
        char *folder = kit_copy("moe-f32");
        kit_spoil(in_folder(folder, "model.safetensors"), norms[i / 2], 0, 48, 3.4e38f);
        kit_open(&kit, folder, weights[i % 2]);
        kit_start(&kit, &c);
        check_error(moxie_step(kit.engine, &entry, 1, &kit.failure), MOXIE_ERROR_NOT_FINITE);
        assert_int_equal(moxie_sequence_length(kit.engine, 0), 0);
        kit_close(&kit);
        remove_folder(folder);
    }
}

/* ---- A bundle whose weights changed after it was opened ---- */

static void test_weights_changed(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_bundle handle;
    struct moxie_config c = config();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_INT4);
    const struct mx_bundle *b = mx_bundle_of(&kit.bundle);
    const struct moxie_key key = kit_key();
    struct moxie_trust trust = MOXIE_TRUST;
    trust.keys = 1;
    trust.key = &key;
    uint8_t *copy = reserve((size_t)b->size);
    memcpy(copy, b->bytes, (size_t)b->size);
    const struct mx_segment *s = mx_bundle_segment(b, MX_SEGMENT_EXPERT);
    assert_non_null(s);
    uint64_t at = s->offset + s->used / 2;
    copy[at] ^= 0x10;
    check_ok(moxie_bundle_open_memory(&handle, copy, (size_t)b->size, &trust, &kit.failure), kit.failure);
    check_error(moxie_init(&kit.engine, &handle, &c, NULL, NULL, &kit.failure), MOXIE_ERROR_HASH);
    assert_true(kit.failure.offset <= at && at < kit.failure.offset + MX_LEAF_BYTES);
    assert_null(kit.engine);
    check_error(moxie_bundle_verify(&handle, NULL, NULL, &kit.failure), MOXIE_ERROR_HASH);
    copy[at] ^= 0x10;
    check_ok(moxie_init(&kit.engine, &handle, &c, NULL, NULL, &kit.failure), kit.failure);
    kit_stop(&kit);
    moxie_bundle_close(&handle);
    release(copy, (size_t)b->size);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_given_memory, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_arguments, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_init_cancelled, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_not_finite, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_logit_not_finite, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_norm_overflows, fake_begin, fake_end),
        cmocka_unit_test_setup_teardown(test_weights_changed, fake_begin, fake_end),
    };
    return check_run(tests);
}
