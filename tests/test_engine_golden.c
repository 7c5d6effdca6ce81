/* SPDX-License-Identifier: Apache-2.0
 *
 * The model code against transformers: float bundles of the tiny checkpoints give the logits that transformers gave in
 * fp32 (tests/reference/make_checkpoints.py), up to the rounding of another order of sums. */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine_kit.h"
#include "tests/importer_files.h"

static const double tolerance = 2e-4; /* of the largest logit */

/* The data of a float32 (rows, vocab) array in NumPy's format. */
static struct bytes read_golden(const char *name, uint32_t n, uint32_t vocab) {
    char path[256], shape[64];
    snprintf(path, sizeof path, "tests/data/reference/%s/logits-%u.npy", name, n);
    snprintf(shape, sizeof shape, "(%u, %u)", n, vocab);
    struct bytes b = read_whole(path);
    assert_true(b.n > 10 && memcmp(b.data, "\x93NUMPY\x01\x00", 8) == 0);
    size_t header = 10 + b.data[8] + 256u * b.data[9];
    assert_int_equal(b.n, header + sizeof(float) * n * vocab);
    b.data[header - 1] = '\0';
    assert_non_null(strstr((char *)b.data + 10, "'<f4'"));
    assert_non_null(strstr((char *)b.data + 10, shape));
    memmove(b.data, b.data + header, b.n - header);
    return b;
}

static void check_case(const char *name, enum pk_weights weights) {
    static const uint32_t lengths[] = {7, 33, 150};
    const struct moxie_config config = kit_config();
    struct kit kit = {.engine = NULL};
    kit_open(&kit, name, weights);
    kit_start(&kit, &config);
    float *got = kit_rows(&kit);
    for (int k = 0; k < 3; k++) {
        char path[256];
        int32_t tokens[KIT_TOKENS];
        uint32_t n = lengths[k];
        struct bytes golden = read_golden(name, n, kit.model.vocab);
        const float *want = (const void *)golden.data;
        kit_tokens(name, tokens);
        snprintf(path, sizeof path, "tests/data/reference/%s/tokens-%u.txt", name, n);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(fscanf(f, "%d", &tokens[i]), 1);
        }
        fclose(f);
        check_ok(moxie_sequence_truncate(kit.engine, 0, 0, &kit.failure), kit.failure);
        kit_feed(&kit, 0, tokens, n, 64, got);
        double largest = 0, worst = 0;
        for (size_t i = 0; i < (size_t)n * kit.model.vocab; i++) {
            largest = fmax(largest, fabs((double)want[i]));
            worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        }
        print_message("%s, %u tokens: max |difference| = %.1e of max |logit|\n", name, n, worst / largest);
        assert_true(largest > 1); /* else the golden would show nothing */
        assert_true(worst <= tolerance * largest);
        free_bytes(&golden);
    }
    free(got);
    kit_close(&kit);
}

static void test_float32(void **state) {
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        check_case(kit_model[i], PK_WEIGHTS_F32);
    }
}

/* The goldens' weights are those of the file, so that its own type loses nothing. */
static void test_own_type(void **state) {
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        check_case(kit_model[i], PK_WEIGHTS_KEEP);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_float32), cmocka_unit_test(test_own_type)};
    return check_run(tests);
}
