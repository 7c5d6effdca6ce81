/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling: published vectors of the generator, each filter against a plain double-precision version of Hugging Face's
 * order, and the frequencies of draws. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sample.h"
#include "tests/check.h"

#define MAX_VOCAB 4096

static uint32_t scratch[3 * MAX_VOCAB];

static int32_t sample(const float *logits, uint32_t vocab, const struct mx_sample_options *o, uint64_t position) {
    struct moxie_failure f;
    int32_t token = -1;
    check_ok(mx_sample(logits, vocab, o, position, scratch, sizeof(scratch), &token, &f), f);
    assert_in_range(token, 0, vocab - 1);
    return token;
}

/* kat_vectors of Random123, philox4x32-10. */
static void philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t out[4];
        mx_philox(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof(out));
    }
}

static void greedy(void **state) {
    (void)state;
    struct mx_sample_options o = {0};
    assert_int_equal(sample((const float[]){1, 3, 2}, 3, &o, 0), 1);
    assert_int_equal(sample((const float[]){3, 1, 3, 3}, 4, &o, 0), 0); /* of equals the lower id */
    assert_int_equal(sample((const float[]){-0.0f, 0.0f}, 2, &o, 0), 0);
    assert_int_equal(sample((const float[]){-FLT_MAX, -FLT_MAX}, 2, &o, 0), 0);
    const uint32_t allowed = 0xC;
    o.allowed = &allowed;
    assert_int_equal(sample((const float[]){9, 8, 1, 2}, 4, &o, 0), 3);
}

/* The loops over all tokens go by many at once, and one by one at the end. */
static void every_place(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 63, 64, 65, 200};
    const struct mx_sample_options plain = {0}, draw = {.temperature = 0.01f};
    static float logits[200];
    struct moxie_failure f;
    int32_t token;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const uint32_t n = sizes[s];
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < n; j++) {
                logits[j] = j == i ? -2 : -3 - (float)(j % 7);
            }
            assert_int_equal(sample(logits, n, &draw, i), i);
            logits[n - 1] = -2; /* an equal one behind it changes nothing */
            assert_int_equal(sample(logits, n, &plain, i), i);
            logits[i] = i % 2 ? NAN : -INFINITY;
            check_error(mx_sample(logits, n, &plain, 0, scratch, sizeof(scratch), &token, &f), MOXIE_ERROR_NOT_FINITE);
            assert_int_equal(f.offset, i);
        }
    }
}

static void repetition_penalty(void **state) {
    (void)state;
    static const int32_t history[] = {1, 1, 1, 2};
    struct mx_sample_options o = {.repetition_penalty = 2, .history = history, .history_count = 4};
    /* 5 / 2 once, however often it came; -1 * 2 */
    assert_int_equal(sample((const float[]){2, 5, -1}, 3, &o, 0), 1);
    assert_int_equal(sample((const float[]){2.6f, 5, -1}, 3, &o, 0), 0);
    assert_int_equal(sample((const float[]){-1.5f, -4, -1}, 3, &o, 0), 0);
    assert_int_equal(sample((const float[]){-2.5f, -4, -1}, 3, &o, 0), 2);
    o.repetition_penalty = 0.5f; /* overflows to the largest float, not to infinity */
    assert_int_equal(sample((const float[]){FLT_MAX, FLT_MAX / 2, 1}, 3, &o, 0), 0);
}

struct reference {
    double p[MAX_VOCAB]; /* 0: filtered out */
};

static const float *sort_values;
static int by_value(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return sort_values[i] != sort_values[j] ? (sort_values[i] < sort_values[j] ? 1 : -1) : (i > j) - (i < j);
}

/* temperature, top_k, top_p, min_p in double precision, by sorting everything. */
static void compute_reference(const float *logits, uint32_t n, const struct mx_sample_options *o, struct reference *r) {
    uint32_t order[MAX_VOCAB] = {0}, kept = n;
    double sum = 0, mass = 0;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    sort_values = logits;
    qsort(order, n, sizeof(order[0]), by_value);
    if (o->top_k && o->top_k < n) {
        for (kept = o->top_k; kept < n && logits[order[kept]] == logits[order[o->top_k - 1]]; kept++) {
        }
    }
    memset(r, 0, sizeof(*r));
    for (uint32_t i = 0; i < kept; i++) {
        r->p[order[i]] = exp(((double)logits[order[i]] - logits[order[0]]) / o->temperature);
        sum += r->p[order[i]];
    }
    for (uint32_t i = 0; i < kept; i++) {
        bool drop = (o->top_p > 0 && o->top_p < 1 && mass >= o->top_p * sum) || r->p[order[i]] < o->min_p;
        mass += r->p[order[i]];
        r->p[order[i]] = drop ? 0 : r->p[order[i]];
    }
    sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += r->p[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        r->p[i] /= sum;
    }
}

/* Frequencies of 20 000 draws: nothing that is filtered out, and a chi-square that chance exceeds once in 10^6. */
static void check_frequencies(const float *logits, uint32_t n, const struct mx_sample_options *o) {
    enum { DRAWS = 20000 };
    static struct reference r;
    static uint32_t count[MAX_VOCAB];
    compute_reference(logits, n, o, &r);
    memset(count, 0, sizeof(count));
    for (uint64_t position = 0; position < DRAWS; position++) {
        count[sample(logits, n, o, position)]++;
    }
    double chi = 0, rest = 0, rest_count = 0;
    int cells = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_true(count[i] == 0 || r.p[i] > 0);
        double expected = r.p[i] * DRAWS;
        if (expected < 10) {
            rest += expected;
            rest_count += count[i];
        } else {
            chi += (count[i] - expected) * (count[i] - expected) / expected;
            cells++;
        }
    }
    if (rest >= 1) {
        chi += (rest_count - rest) * (rest_count - rest) / rest;
        cells++;
    }
    double free = cells > 1 ? cells - 1 : 1; /* Wilson and Hilferty: the cube root of chi-square / n is nearly normal */
    double z = (cbrt(chi / free) - (1 - 2 / (9 * free))) / sqrt(2 / (9 * free));
    if (cells > 1 && z > 4.75) {
        fail_msg("chi-square %g with %g degrees of freedom", chi, free);
    }
}

static void frequencies(void **state) {
    (void)state;
    static float logits[MAX_VOCAB];
    srand(1);
    for (uint32_t n = 5; n <= 500; n *= 10) {
        for (uint32_t i = 0; i < n; i++) {
            logits[i] = (float)(rand() % 2000) / 250 - 4; /* multiples of 1/250: ties are frequent */
        }
        const struct mx_sample_options cases[] = {
            {.temperature = 1},
            {.temperature = 0.5f, .seed = 5},
            {.temperature = 3, .choice = 2},
            {.temperature = 1, .top_k = 3},
            {.temperature = 0.8f, .top_k = 50},
            {.temperature = 1, .top_p = 0.5f, .seed = UINT64_MAX},
            {.temperature = 0.7f, .top_p = 0.8f, .top_k = 20},
            {.temperature = 1, .min_p = 0.3f},
            {.temperature = 1.5f, .min_p = 0.05f, .top_p = 0.9f},
            {.temperature = 1, .top_k = 1},
            {.temperature = 1, .top_p = 1e-8f},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            check_frequencies(logits, n, &cases[i]);
        }
    }
}

/* All equal to the k-th largest stay; at the edge of top_p the lower ids do. */
static void ties(void **state) {
    (void)state;
    static const float logits[] = {1, 2, 1, 2, 1, 0};
    struct mx_sample_options top_k = {.temperature = 1, .top_k = 3}, top_p = {.temperature = 1, .top_p = 0.7f};
    unsigned k_seen = 0, p_seen = 0;
    for (uint64_t position = 0; position < 2000; position++) {
        k_seen |= 1u << sample(logits, 6, &top_k, position);
        p_seen |= 1u << sample(logits, 6, &top_p, position);
    }
    assert_int_equal(k_seen, 0x1F); /* 2, 2, and the three 1s */
    assert_int_equal(p_seen, 0x0B); /* masses .34 .34 .126: 2, 2, and the first 1 */
}

/* Draws of a double-precision twin in Python (random number scaled to the sum of weights, ids ascending). A change of
 * them would change answers, on every machine. */
static void same_tokens_for_ever(void **state) {
    (void)state;
    static float logits[MAX_VOCAB];
    static const int32_t expected[] = {1292, 1421, 369,  1151, 1818, 2151, 180, 41,
                                       1354, 914,  3887, 262,  3413, 180,  484, 3632};
    uint32_t x = 1;
    for (uint32_t i = 0; i < MAX_VOCAB; i++) {
        x = x * 1664525u + 1013904223u;
        logits[i] = (float)(x >> 8) * 0x1p-20f - 8;
    }
    struct mx_sample_options o = {.temperature = 0.9f, .top_k = 500, .top_p = 0.95f, .min_p = 0.01f, .seed = 42};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(sample(logits, MAX_VOCAB, &o, 100 + i), expected[i]);
    }
}

static void what_is_refused(void **state) {
    (void)state;
    float logits[] = {1, 2, 3};
    const int32_t beyond = 3, negative = -1;
    const uint32_t none = 0xFFFFFFF8;
    struct moxie_failure f;
    int32_t token;
    const struct mx_sample_options bad[] = {
        {.temperature = -1},
        {.temperature = NAN},
        {.temperature = INFINITY},
        {.temperature = 1e-9f},
        {.top_p = -0.5f},
        {.top_p = NAN},
        {.top_p = 1.5f},
        {.min_p = 1.5f},
        {.repetition_penalty = -2},
        {.repetition_penalty = NAN},
        {.history_count = 1},
        {.allowed = &none},
        {.repetition_penalty = 1e9f},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_error(mx_sample(logits, 3, &bad[i], 0, scratch, sizeof(scratch), &token, &f), MOXIE_ERROR_ARGUMENT);
    }
    const struct mx_sample_options ids[] = {{.history = &beyond, .history_count = 1},
                                            {.history = &negative, .history_count = 1}};
    for (size_t i = 0; i < 2; i++) {
        check_error(mx_sample(logits, 3, &ids[i], 0, scratch, sizeof(scratch), &token, &f), MOXIE_ERROR_TOKEN);
    }
    const struct mx_sample_options o = {.temperature = 1};
    check_error(mx_sample(logits, 3, &o, 0, scratch, mx_sample_scratch(3) - 1, &token, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_sample(logits, 0, &o, 0, scratch, sizeof(scratch), &token, &f), MOXIE_ERROR_ARGUMENT);
    static const float bad_logits[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        logits[1] = bad_logits[i];
        check_error(mx_sample(logits, 3, &o, 0, scratch, sizeof(scratch), &token, &f), MOXIE_ERROR_NOT_FINITE);
        assert_int_equal(f.offset, 1);
    }
}

static void extremes(void **state) {
    (void)state;
    struct mx_sample_options o = {.temperature = 1e-6f};
    assert_int_equal(sample((const float[]){-FLT_MAX, FLT_MAX, 0}, 3, &o, 1), 1);
    o.temperature = 1e6f;
    assert_int_equal(sample((const float[]){-FLT_MAX, FLT_MAX}, 2, &o, 1), 1);
    assert_int_equal(sample((const float[]){7}, 1, &o, 1), 0);
    o.top_p = 1e-30f;
    o.min_p = 1;
    assert_int_equal(sample((const float[]){1, 2, 2}, 3, &o, 1), 1);
}

/* As many tokens as a bundle can have, all alike: their weights do not overflow, and half of the mass is half of them.
 */
static void the_largest_vocabulary(void **state) {
    (void)state;
    const uint32_t n = 1u << 22;
    struct mx_sample_options o = {.temperature = 1, .top_p = 0.5f};
    struct moxie_failure f;
    float *logits = calloc(n, sizeof(*logits));
    void *memory = malloc(mx_sample_scratch(n));
    int32_t token;
    assert_true(logits && memory);
    check_ok(mx_sample(logits, n, &o, 1, memory, mx_sample_scratch(n), &token, &f), f);
    assert_in_range(token, n / 64, n / 2 - 1); /* a chance of 1/32 to be smaller, and position 1 is not */
    free(logits);
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),   cmocka_unit_test(greedy),          cmocka_unit_test(every_place),
        cmocka_unit_test(repetition_penalty),     cmocka_unit_test(frequencies),     cmocka_unit_test(ties),
        cmocka_unit_test(same_tokens_for_ever),   cmocka_unit_test(what_is_refused), cmocka_unit_test(extremes),
        cmocka_unit_test(the_largest_vocabulary),
    };
    return check_run(tests);
}
