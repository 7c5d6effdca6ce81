/* SPDX-License-Identifier: Apache-2.0
 *
 * Logits are a function of (bundle, tokens) alone: the same bits for every way to feed a prompt, whatever runs beside
 * it, with every kernel variant and number of threads. 150 positions are three KV blocks. */
#define _GNU_SOURCE /* popen, readlink */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/crypto.h"
#include "tests/engine_kit.h"

struct world {
    struct kit kit;
    int32_t tokens[KIT_TOKENS];
    float *want, *got; /* (KIT_TOKENS, vocab); want: the prompt whole */
};

static void open_world_kv(struct world *w, const char *name, enum pk_weights weights, uint32_t kv_type,
                          const struct moxie_config *config) {
    memset(w, 0, sizeof *w);
    kit_open_kv(&w->kit, name, weights, kv_type);
    kit_start(&w->kit, config);
    kit_tokens(name, w->tokens);
    w->want = kit_rows(&w->kit);
    w->got = kit_rows(&w->kit);
    kit_feed(&w->kit, 0, w->tokens, KIT_TOKENS, KIT_TOKENS, w->want);
}

static void open_world(struct world *w, const char *name, enum pk_weights weights, const struct moxie_config *config) {
    open_world_kv(w, name, weights, 0, config);
}

static void close_world(struct world *w) {
    free(w->want);
    free(w->got);
    kit_close(&w->kit);
}

static void reset(struct world *w) {
    for (uint32_t s = 0; s < w->kit.plan.sequences; s++) {
        check_ok(moxie_sequence_truncate(w->kit.engine, s, 0, &w->kit.failure), w->kit.failure);
    }
    memset(w->got, 0, sizeof(float) * KIT_TOKENS * w->kit.model.vocab);
}

static void check_chunk(struct world *w, const char *what, uint32_t chunk) {
    reset(w);
    kit_feed(&w->kit, 0, w->tokens, KIT_TOKENS, chunk, w->got);
    kit_same(&w->kit, what, w->got, w->want, KIT_TOKENS);
}

/* Two other sequences take tokens of their own in the same steps; with `mixed` the entries of the three alternate. */
static void check_beside(struct world *w, const char *what, uint32_t chunk, bool mixed) {
    struct moxie_entry entries[3 * KIT_TOKENS];
    reset(w);
    for (uint32_t at = 0; at < KIT_TOKENS; at += chunk) {
        uint32_t n = KIT_TOKENS - at < chunk ? KIT_TOKENS - at : chunk, count = 0;
        for (uint32_t i = 0; i < 3 * n; i++) {
            uint32_t sequence = mixed ? (i + 1) % 3 : (i / n + 1) % 3, k = mixed ? i / 3 : i % n;
            int32_t other = (int32_t)((at + k) * (sequence * 5 + 2) % w->kit.model.vocab);
            entries[count++] = (struct moxie_entry){.sequence = sequence,
                                                    .position = at + k,
                                                    .token = sequence == 0 ? w->tokens[at + k] : other,
                                                    .want_logits = sequence == 0};
        }
        check_ok(moxie_step(w->kit.engine, entries, count, &w->kit.failure), w->kit.failure);
        for (uint32_t i = 0; i < n; i++) {
            memcpy(w->got + (size_t)(at + i) * w->kit.model.vocab, moxie_logits(w->kit.engine, i),
                   sizeof(float) * w->kit.model.vocab);
        }
    }
    kit_same(&w->kit, what, w->got, w->want, KIT_TOKENS);
}

/* The prompt as moxie_prefill takes it: logits of the last token alone. */
static void check_prefill(struct world *w) {
    reset(w);
    check_ok(moxie_prefill(w->kit.engine, 0, w->tokens, KIT_TOKENS, &w->kit.failure), w->kit.failure);
    assert_null(moxie_logits(w->kit.engine, 1));
    memcpy(w->got, moxie_logits(w->kit.engine, 0), sizeof(float) * w->kit.model.vocab);
    kit_same(&w->kit, "prefill", w->got, w->want + (size_t)(KIT_TOKENS - 1) * w->kit.model.vocab, 1);
}

static void check_every_way(const char *name, enum pk_weights weights, uint32_t kv_type) {
    struct world w;
    const struct moxie_config config = kit_config();
    open_world_kv(&w, name, weights, kv_type, &config);
    check_chunk(&w, "the same again", KIT_TOKENS);
    check_chunk(&w, "chunks of 32", 32);
    check_chunk(&w, "chunks of 7", 7);
    check_chunk(&w, "token by token", 1);
    check_beside(&w, "others beside it", KIT_TOKENS, false);
    check_beside(&w, "others between it", 32, true);
    check_beside(&w, "others beside it, token by token", 1, true);
    check_prefill(&w);
    close_world(&w);
}

static void test_float_weights(void **state) {
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        check_every_way(kit_model[i], PK_WEIGHTS_KEEP, 0);
    }
}

static void test_int4_weights(void **state) {
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        check_every_way(kit_model[i], PK_WEIGHTS_INT4, 0);
    }
}

static void test_int8_weights(void **state) {
    (void)state;
    check_every_way("moe-norm-tied", PK_WEIGHTS_INT8, 0);
}

/* Heads that share keys and values, and such that have their own. */
static void test_int8_keys_and_values(void **state) {
    (void)state;
    check_every_way("moe-norm-tied", PK_WEIGHTS_INT4, MX_KV_I8);
    check_every_way("qwen2", PK_WEIGHTS_KEEP, MX_KV_I8);
}

/* ---- Kernels ---- */

static const struct moxie_tunables portable = {.size = sizeof portable, .without = UINT32_MAX};

static void check_portable(const char *name, enum pk_weights weights) {
    struct world w;
    struct moxie_config config = kit_config();
    open_world(&w, name, weights, &config);
    kit_stop(&w.kit);
    config.tunables = &portable;
    kit_start(&w.kit, &config);
    assert_int_equal(w.kit.engine->cl.facts.dot, 0);
    check_chunk(&w, "portable kernels", KIT_TOKENS);
    check_chunk(&w, "portable kernels, token by token", 1);
    close_world(&w);
}

static void test_portable_kernels(void **state) {
    (void)state;
    check_portable("moe-sparse-step", PK_WEIGHTS_INT4);
    check_portable("qwen2", PK_WEIGHTS_INT8);
}

/* ---- Threads: PoCL takes their number from the environment of a new process ---- */

static void digest_of(enum pk_weights weights, char hex[65]) {
    struct world w;
    uint8_t digest[32];
    const struct moxie_config config = kit_config();
    open_world(&w, "moe-sparse-step", weights, &config);
    mx_sha256(w.want, sizeof(float) * KIT_TOKENS * w.kit.model.vocab, digest);
    close_world(&w);
    for (int i = 0; i < 32; i++) {
        snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
    }
}

static void check_threads(enum pk_weights weights) {
    char self[512], command[1024], want[65], got[65];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    digest_of(weights, want);
    for (int threads = 1; threads <= 3; threads++) {
        snprintf(command, sizeof command, "POCL_MAX_PTHREAD_COUNT=%d '%s' --digest %d", threads, self, (int)weights);
        FILE *child = popen(command, "r");
        assert_non_null(child);
        assert_int_equal(fread(got, 1, 64, child), 64);
        assert_int_equal(pclose(child), 0);
        got[64] = '\0';
        assert_string_equal(got, want);
    }
}

static void test_threads(void **state) {
    (void)state;
    check_threads(PK_WEIGHTS_INT4);
    check_threads(PK_WEIGHTS_F32);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--digest") == 0) { /* the child of test_threads */
        char hex[65];
        digest_of((enum pk_weights)atoi(argv[2]), hex);
        return fputs(hex, stdout) < 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_weights),    cmocka_unit_test(test_int4_weights),
        cmocka_unit_test(test_int8_weights),     cmocka_unit_test(test_int8_keys_and_values),
        cmocka_unit_test(test_portable_kernels), cmocka_unit_test(test_threads),
    };
    return check_run(tests);
}
