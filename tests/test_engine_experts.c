/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie_experts against the choices of transformers (tests/reference/make_checkpoints.py). */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine_kit.h"

enum { LENGTH = 33, LAYERS = 3, TOP = 3 };
static const char *const sparse[] = {"moe-f32", "moe-norm-tied", "moe-sparse-step", "moe-dead-sharded"};

/* want[layer][token][i]; routed[layer]: the file has that layer. */
static void read_experts(const char *name, uint32_t top, bool routed[LAYERS], int32_t want[LAYERS][LENGTH][TOP]) {
    char path[256];
    uint32_t layer;
    snprintf(path, sizeof path, "tests/data/reference/%s/experts-33.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fscanf(f, "%u", &layer) == 1) {
        assert_true(layer < LAYERS && top <= TOP);
        routed[layer] = true;
        for (uint32_t i = 0; i < LENGTH * top; i++)
            assert_int_equal(fscanf(f, "%d", &want[layer][i / top][i % top]), 1);
    }
    fclose(f);
}

static void read_tokens(const char *name, int32_t tokens[LENGTH]) {
    char path[256];
    snprintf(path, sizeof path, "tests/data/reference/%s/tokens-33.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(fscanf(f, "%d", &tokens[i]), 1);
    fclose(f);
}

/* Whole and in chunks: the choices are those of the last step. */
static void check_steps(struct kit *kit, const char *name, uint32_t chunk) {
    bool routed[LAYERS] = {false};
    static int32_t want[LAYERS][LENGTH][TOP], tokens[LENGTH];
    uint32_t seen = 0;
    read_experts(name, kit->model.experts_per_token, routed, want);
    read_tokens(name, tokens);
    check_ok(moxie_sequence_truncate(kit->engine, 0, 0, &kit->failure), kit->failure);
    for (uint32_t at = 0; at < LENGTH; at += chunk) {
        const uint32_t n = LENGTH - at < chunk ? LENGTH - at : chunk;
        check_ok(moxie_prefill(kit->engine, 0, tokens + at, n, &kit->failure), kit->failure);
        for (uint32_t layer = 0; layer < kit->model.layers; layer++)
            for (uint32_t i = 0; i < n; i++) {
                uint32_t count = 99;
                const int32_t *got = moxie_experts(kit->engine, i, layer, &count);
                assert_int_equal(count, routed[layer] ? kit->model.experts_per_token : 0);
                assert_int_equal(got != NULL, routed[layer]);
                if (got)
                    assert_memory_equal(got, want[layer][at + i], count * sizeof *got);
                seen += got != NULL;
            }
        assert_null(moxie_experts(kit->engine, n, 0, NULL));
        assert_null(moxie_experts(kit->engine, 0, kit->model.layers, NULL));
    }
    assert_true(seen >= LENGTH);
}

static void test_choices(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sparse / sizeof *sparse; i++) {
        struct kit kit = {.engine = NULL};
        struct moxie_config config = kit_config();
        config.experts = 1;
        kit_open(&kit, sparse[i], PK_WEIGHTS_F32);
        kit_start(&kit, &config);
        check_steps(&kit, sparse[i], LENGTH);
        check_steps(&kit, sparse[i], 5);
        check_steps(&kit, sparse[i], 1);
        kit_close(&kit);
    }
}

/* Keeping them changes no logit; not keeping them costs nothing and tells nothing. */
static void test_off(void **state) {
    (void)state;
    struct kit kit[2] = {{.engine = NULL}};
    float *rows[2];
    for (int i = 0; i < 2; i++) {
        int32_t tokens[KIT_TOKENS];
        struct moxie_config config = kit_config();
        config.experts = (uint32_t)i;
        kit_open(&kit[i], "moe-norm-tied", PK_WEIGHTS_INT4);
        kit_start(&kit[i], &config);
        kit_tokens("moe-norm-tied", tokens);
        rows[i] = kit_rows(&kit[i]);
        kit_feed(&kit[i], 0, tokens, KIT_TOKENS, 50, rows[i]);
        assert_int_equal(moxie_experts(kit[i].engine, 0, 0, NULL) != NULL, i);
    }
    kit_same(&kit[0], "experts kept", rows[1], rows[0], KIT_TOKENS);
    assert_true(kit[0].plan.launches < kit[1].plan.launches);
    assert_true(kit[0].plan.region_bytes[MOXIE_REGION_HOST] < kit[1].plan.region_bytes[MOXIE_REGION_HOST]);
    for (int i = 0; i < 2; i++) {
        free(rows[i]);
        kit_close(&kit[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_choices), cmocka_unit_test(test_off)};
    return check_run(tests);
}
