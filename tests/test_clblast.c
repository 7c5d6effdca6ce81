/* SPDX-License-Identifier: Apache-2.0
 *
 * CLBlast, another implementation of the dense products, as an oracle: the whole model gives its logits up to rounding.
 */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/moxie_clblast.h"
#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"

/* Of the largest logit. Canonical sums and CLBlast's differ in their order alone: each product of K <= 272 terms then
 * differs by a few 2^-24 of its size, and a handful of layers on top of each other measure below 5e-6. A tile that is
 * misplaced, or a row that is lost, is wrong by the size of the logits. */
static const double tolerance = 2e-5;

static long products; /* that the engine gave to CLBlast */
static int32_t answer;

static int32_t count_gemm(void *queue, const struct moxie_gemm *g) {
    products++;
    assert_true(g->n > 0 && g->rows > 0 && g->cols > 0 && g->kp % 32 == 0 && g->kp - g->cols < 32);
    return answer ? answer : moxie_clblast.gemm(queue, g);
}

static bool keep; /* CLBlast's binaries from one engine to the next: they take seconds to build */

static void release(void) {
    if (!keep) {
        moxie_clblast.release();
    }
}

static const struct moxie_blas counting = {
    .size = sizeof counting, .name = "gemm", .gemm = count_gemm, .release = release};

static void start(struct kit *kit, const struct moxie_blas *blas) {
    const struct moxie_config config = kit_config();
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    callbacks.blas = blas;
    check_ok(moxie_init(&kit->engine, &kit->bundle, &config, NULL, &callbacks, &kit->failure), kit->failure);
    moxie_engine_plan(kit->engine, &kit->plan, NULL);
}

/* Largest difference, relative to the largest logit. */
static double difference(const struct kit *kit, const float *got, const float *want) {
    double largest = 0, worst = 0;
    for (size_t i = 0; i < (size_t)KIT_TOKENS * kit->model.vocab; i++) {
        assert_true(isfinite(got[i]));
        largest = fmax(largest, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    }
    return worst / largest;
}

/* Dense products of a step: QKV, attention output, head, and the down projection of dense layers. */
static long expected(const struct mx_bundle *b) {
    long n = 0;
    for (uint32_t i = 0; i < b->manifest->tensors; i++) {
        const struct mx_tensor *t = &b->tensors[i];
        bool head = t->role == (b->manifest->model.tied ? MX_ROLE_EMBEDDING : MX_ROLE_HEAD);
        n += head || t->role == MX_ROLE_QKV || t->role == MX_ROLE_ATTN_OUT ||
             (t->role == MX_ROLE_DOWN && b->layers[t->layer].routed == 0);
    }
    return n;
}

static void test_oracle(void **state) {
    int32_t tokens[KIT_TOKENS];
    (void)state;
    answer = 0;
    keep = true;
    for (int i = 0; i < KIT_MODELS; i++) {
        static const uint32_t chunks[] = {KIT_TOKENS, 7};
        struct kit kit = {.engine = NULL};
        struct moxie_plan canonical;
        const struct moxie_config config = kit_config();
        kit_open(&kit, kit_model[i], PK_WEIGHTS_F32);
        kit_tokens(kit_model[i], tokens);
        float *want = kit_rows(&kit), *got = kit_rows(&kit);
        kit_start(&kit, &config);
        canonical = kit.plan;
        kit_feed(&kit, 0, tokens, KIT_TOKENS, KIT_TOKENS, want);
        kit_stop(&kit);
        start(&kit, &counting);
        assert_int_equal(kit.plan.enqueues, kit.plan.launches); /* no lists beside a BLAS */
        canonical.enqueues = kit.plan.enqueues;
        canonical.programs = kit.plan.programs;
        assert_memory_equal(&canonical, &kit.plan, sizeof canonical);
        for (int k = 0; k < 2; k++) {
            check_ok(moxie_sequence_truncate(kit.engine, 0, 0, &kit.failure), kit.failure);
            products = 0;
            kit_feed(&kit, 0, tokens, KIT_TOKENS, chunks[k], got);
            assert_int_equal(products,
                             expected(mx_bundle_of(&kit.bundle)) * ((KIT_TOKENS + chunks[k] - 1) / chunks[k]));
            double d = difference(&kit, got, want);
            print_message("%s, chunks of %u: %.1e\n", kit_model[i], chunks[k], d);
            assert_true(d <= tolerance);
        }
        free(want);
        free(got);
        kit_close(&kit);
    }
    keep = false;
    moxie_clblast.release();
}

/* A bundle with nothing to give away runs as ever. */
static void test_quantised(void **state) {
    struct kit kit = {.engine = NULL};
    int32_t tokens[KIT_TOKENS];
    const struct moxie_config config = kit_config();
    (void)state;
    answer = 0;
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    kit_tokens("moe-sparse-step", tokens);
    float *want = kit_rows(&kit), *got = kit_rows(&kit);
    kit_start(&kit, &config);
    kit_feed(&kit, 0, tokens, KIT_TOKENS, KIT_TOKENS, want);
    kit_stop(&kit);
    products = 0;
    start(&kit, &counting);
    kit_feed(&kit, 0, tokens, KIT_TOKENS, KIT_TOKENS, got);
    assert_int_equal(products, 0);
    kit_same(&kit, "with a BLAS that has nothing to do", got, want, KIT_TOKENS);
    free(want);
    free(got);
    kit_close(&kit);
}

static void test_failures(void **state) {
    struct kit kit = {.engine = NULL};
    const struct moxie_config config = kit_config();
    struct moxie_callbacks callbacks = MOXIE_CALLBACKS;
    struct moxie_blas blas = counting;
    struct moxie_entry entry = {.token = 1, .want_logits = 1};
    (void)state;
    fake_reset();
    kit_open(&kit, "llama", PK_WEIGHTS_F32);
    callbacks.blas = &blas;
    blas.size = 8;
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, &callbacks, &kit.failure), MOXIE_ERROR_VERSION);
    blas = counting;
    answer = -1234;
    check_error(moxie_init(&kit.engine, &kit.bundle, &config, NULL, &callbacks, &kit.failure), MOXIE_ERROR_OPENCL);
    assert_int_equal(kit.failure.cl, -1234);
    assert_non_null(strstr(kit.failure.what, "gemm"));
    answer = 0;
    start(&kit, &blas);
    answer = -1;
    enum moxie_error e = moxie_step(kit.engine, &entry, 1, &kit.failure);
    assert_true(e == MOXIE_ERROR_OPENCL || e == MOXIE_ERROR_DEVICE_LOST);
    assert_int_equal(moxie_sequence_length(kit.engine, 0), 0);
    answer = 0;
    kit_close(&kit);
    assert_int_equal(fake_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_oracle), cmocka_unit_test(test_quantised),
                                       cmocka_unit_test(test_failures)};
    return check_run(tests);
}
