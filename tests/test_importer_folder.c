/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights of Hugging Face folders: rows, shards, stacked experts, and tensors that are missing, superfluous or not
 * finite. */
#define _POSIX_C_SOURCE 200809L // truncate
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/source.h"
#include "tests/check.h"
#include "tests/importer_files.h"

static void refused(int code, const char *part) {
    refuse_source(test_folder, code, part);
}

static void copy(const char *reference, const char *name) {
    copy_reference(test_folder, reference, name);
}

static void test_rows(void **state) {
    (void)state;
    struct pk_source *s = open_source(REFERENCE "moe-f32");
    struct pk_error e = {0};
    struct pk_tensor *t = pk_source_find(s, "model.layers.1.mlp.experts.3.down_proj.weight");
    assert_non_null(t);
    assert_true(!t->consumed && !t->ignored && t->type == PK_F32 && t->rows == 48 && t->cols == 24);
    assert_int_equal(t->row_bytes, 96);
    struct bytes file = read_whole(REFERENCE "moe-f32/model.safetensors");
    float rows[3 * 24], all[48 * 24];
    assert_true(pk_source_read_rows(s, t, 0, 48, all, &e));
    assert_memory_equal(all, file.data + t->offset, sizeof(all));
    assert_true(pk_source_read_rows(s, t, 45, 3, rows, &e));
    assert_memory_equal(rows, all + 45 * 24, sizeof(rows));
    assert_true(pk_source_read_rows(s, t, 48, 0, rows, &e));
    assert_false(pk_source_read_rows(s, t, 46, 3, rows, &e));
    check_pk_error(&e, MOXIE_ERROR_BOUNDS, "has 48 rows");
    assert_false(pk_source_read_rows(s, t, UINT64_MAX, 2, rows, &e));
    assert_null(pk_source_find(s, "model.layers.2.mlp.gate.weight"));
    free_bytes(&file);
    pk_source_close(s);
}

static void test_missing_files(void **state) {
    (void)state;
    refused(MOXIE_ERROR_FILE, "config.json: cannot open");
    copy("moe-f32", "config.json");
    refused(MOXIE_ERROR_FILE, "neither model.safetensors nor pytorch_model.bin");
    assert_int_equal(symlink("nowhere", in_folder(test_folder, "tokenizer_config.json")), 0);
    refused(MOXIE_ERROR_FILE, "tokenizer_config.json: cannot open");
    assert_int_equal(unlink(in_folder(test_folder, "tokenizer_config.json")), 0);
    struct pk_error e;
    assert_null(pk_source_open("tests/data/reference/nothing", &e));
    check_pk_error(&e, MOXIE_ERROR_FILE, "nothing: cannot open");
    assert_null(pk_source_open("/dev/zero", &e));
    check_pk_error(&e, MOXIE_ERROR_FILE, "not a regular file");
}

static void test_cut_while_open(void **state) {
    (void)state;
    copy("moe-f32", "config.json");
    copy("moe-f32", "model.safetensors");
    struct pk_source *s = open_source(test_folder);
    assert_int_equal(truncate(in_folder(test_folder, "model.safetensors"), 20000), 0);
    struct pk_tensor *last = s->tensors;
    for (size_t i = 0; i < s->n_tensors; i++) {
        last = s->tensors[i].offset > last->offset ? &s->tensors[i] : last;
    }
    struct pk_error e = {0};
    float row[48];
    assert_false(pk_source_read_rows(s, last, 0, 1, row, &e));
    check_pk_error(&e, MOXIE_ERROR_TRUNCATED, "became shorter while it was read");
    pk_source_close(s);
}

static void test_not_finite_weight(void **state) {
    (void)state;
    copy("moe-f32", "config.json");
    struct pk_source *s = open_source(REFERENCE "moe-f32");
    uint64_t at = pk_source_find(s, "model.layers.0.self_attn.k_proj.weight")->offset + (5 * 48 + 7) * 4;
    pk_source_close(s);
    struct bytes b = read_whole(REFERENCE "moe-f32/model.safetensors");
    memcpy(b.data + at, &(float){NAN}, 4);
    write_file(in_folder(test_folder, "model.safetensors"), b.data, b.n);
    free_bytes(&b);
    s = open_source(test_folder);
    struct pk_error e = {0};
    struct pk_tensor *t = pk_source_find(s, "model.layers.0.self_attn.k_proj.weight");
    for (uint64_t r = 0; r < t->rows; r++) {
        float row[48];
        assert_true(pk_source_read_rows(s, t, r, 1, row, &e));
        assert_int_equal(pk_check_finite(s, t, r, row, &e), r != 5);
    }
    check_pk_error(&e, MOXIE_ERROR_NOT_FINITE, "row 5, column 7");
    pk_source_close(s);
}

static void copy_shards(void) {
    copy("moe-dead-sharded", "config.json");
    copy("moe-dead-sharded", "model-00001-of-00003.safetensors");
    copy("moe-dead-sharded", "model-00002-of-00003.safetensors");
    copy("moe-dead-sharded", "model-00003-of-00003.safetensors");
}

/* Sets where the index says that a tensor is. */
static void write_index(const char *tensor, const char *shard) {
    json_t *root = json_load_file(REFERENCE "moe-dead-sharded/model.safetensors.index.json", 0, NULL);
    assert_non_null(root);
    json_object_set_new(json_object_get(root, "weight_map"), tensor, json_string(shard));
    assert_int_equal(json_dump_file(root, in_folder(test_folder, "model.safetensors.index.json"), 0), 0);
    json_decref(root);
}

static void test_shards(void **state) {
    (void)state;
    copy_shards();
    static const struct {
        const char *tensor, *shard;
        int code;
        const char *part;
    } cases[] = {
        {"model.norm.weight", "model-00001-of-00003.safetensors", MOXIE_ERROR_FORMAT, "is not in model-00001"},
        {"model.more.weight", "model-00001-of-00003.safetensors", MOXIE_ERROR_FORMAT, "model.more.weight"},
        {"model.norm.weight", "../model.safetensors", MOXIE_ERROR_FORMAT, "in this folder"},
        {"model.norm.weight", "/etc/passwd", MOXIE_ERROR_FORMAT, "in this folder"},
        {"model.norm.weight", "..\\a.safetensors", MOXIE_ERROR_FORMAT, "in this folder"},
        {"model.norm.weight", "a.bin", MOXIE_ERROR_FORMAT, "in this folder"},
        {"model.norm.weight", "model-00004-of-00004.safetensors", MOXIE_ERROR_FILE, "cannot open"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_index(cases[i].tensor, cases[i].shard);
        refused(cases[i].code, cases[i].part);
    }
    write_changed(test_folder, "moe-dead-sharded", "model.safetensors.index.json", "weight_map", "[]");
    refused(MOXIE_ERROR_MODEL, "weight_map");
    write_changed(test_folder, "moe-dead-sharded", "model.safetensors.index.json", "weight_map",
                  "{\"model.norm.weight\":\"model-00003-of-00003.safetensors\"}");
    refused(MOXIE_ERROR_MODEL, "is missing");
    write_file(in_folder(test_folder, "copy.safetensors"), "", 0); // one tensor in two files
    struct bytes b = read_whole(in_folder(test_folder, "model-00003-of-00003.safetensors"));
    write_file(in_folder(test_folder, "copy.safetensors"), b.data, b.n);
    free_bytes(&b);
    write_index("model.norm.weight", "copy.safetensors");
    refused(MOXIE_ERROR_FORMAT, "appears twice");
}

static void test_unexpected_tensors(void **state) {
    (void)state;
    copy("moe-f32", "config.json");
    static const struct {
        const char *header, *part;
    } cases[] = {
        {"{\"model.norm.weight\":{\"dtype\":\"I64\",\"shape\":[48],\"data_offsets\":[0,384]}}", "is missing"},
        {"{\"model.embed_tokens.weight\":{\"dtype\":\"I8\",\"shape\":[101,48],\"data_offsets\":[0,4848]}}",
         "has type I8, which cannot be packed"},
        {"{\"model.embed_tokens.weight\":{\"dtype\":\"F16\",\"shape\":[48,101],\"data_offsets\":[0,9696]}}",
         "asks for 101 x 48, the file has 48 x 101"},
        {"{\"model.embed_tokens.weight\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}", "has scalar"},
        {"{\"model.layers.0.mlp.experts.gate_up_proj\":{\"dtype\":\"F16\",\"shape\":[2,3,4],\"data_offsets\":[0,48]}}",
         "expected a stack of experts"},
        {"{\"model.layers.0.mlp.experts.down_proj\":{\"dtype\":\"F16\",\"shape\":[6,4],\"data_offsets\":[0,48]}}",
         "expected a stack of experts"},
        {"{\"model.layers.0.mlp.experts.down_proj\":{\"dtype\":\"BF16\",\"shape\":[100000000,0,0],"
         "\"data_offsets\":[0,0]}}",
         "stacks 100000000 experts"},
    };
    static const size_t data[] = {384, 4848, 9696, 2, 48, 48, 0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes b = safetensors(cases[i].header, data[i]);
        write_file(in_folder(test_folder, "model.safetensors"), b.data, b.n);
        free_bytes(&b);
        refused(MOXIE_ERROR_MODEL, cases[i].part);
    }
}

/* The layout that transformers keeps in memory: a layer's experts stacked, gate rows before up rows. */
static void test_stacked_experts(void **state) {
    (void)state;
    struct pk_source *s = open_source(REFERENCE "moe-f32");
    json_t *header = json_object();
    struct bytes data = {0};
    struct pk_error e = {0};
    float rows[101 * 48];
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct pk_tensor *t = &s->tensors[i];
        unsigned l = 0, j;
        bool stacked = sscanf(t->name, "model.layers.%u.mlp.experts.%u", &l, &j) == 2;
        if (stacked && !(j == 0 && strstr(t->name, "up_proj"))) {
            continue;
        }
        for (int down = 0; down < (stacked ? 2 : 1); down++) {
            char name[128];
            snprintf(name, sizeof(name), stacked ? "model.layers.%u.mlp.experts.%s" : t->name, l,
                     down ? "down_proj" : "gate_up_proj");
            size_t begin = data.n;
            for (j = 0; j < (stacked ? 5u : 1u); j++) {
                static const char *const parts[] = {"gate_proj", "up_proj", "down_proj"};
                for (int p = stacked ? 2 * down : 0; p < (stacked ? 2 + down : 1); p++) {
                    char part[128];
                    snprintf(part, sizeof(part), "model.layers.%u.mlp.experts.%u.%s.weight", l, j, parts[p]);
                    const struct pk_tensor *from = stacked ? pk_source_find(s, part) : t;
                    assert_true(pk_source_read_rows(s, from, 0, from->rows, rows, &e));
                    put(&data, rows, from->rows * from->row_bytes);
                }
            }
            json_t *shape = stacked ? json_pack("[iii]", 5, 48, down ? 24 : 48) : json_array();
            for (uint32_t d = 0; !stacked && d < t->n_dims; d++) {
                json_array_append_new(shape, json_integer((json_int_t)t->dims[d]));
            }
            json_object_set_new(header, name,
                                json_pack("{s:s, s:o, s:[II]}", "dtype", "F32", "shape", shape, "data_offsets",
                                          (json_int_t)begin, (json_int_t)data.n));
        }
    }
    char *text = json_dumps(header, 0);
    struct bytes file = {0};
    put_string(&file, text);
    put(&file, data.data, data.n);
    write_file(in_folder(test_folder, "model.safetensors"), file.data, file.n);
    copy("moe-f32", "config.json");
    struct pk_source *stacked = open_source(test_folder);
    assert_int_equal(stacked->n_tensors, s->n_tensors);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct pk_tensor *a = &s->tensors[i], *b = &stacked->tensors[i];
        float other[101 * 48];
        assert_string_equal(a->name, b->name);
        assert_true(a->rows == b->rows && a->cols == b->cols);
        assert_true(pk_source_read_rows(s, a, 0, a->rows, rows, &e) &&
                    pk_source_read_rows(stacked, b, 0, b->rows, other, &e));
        assert_memory_equal(rows, other, a->rows * a->row_bytes);
    }
    pk_source_close(stacked);
    pk_source_close(s);
    json_decref(header);
    free(text);
    free_bytes(&data);
    free_bytes(&file);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_in_folder, end_in_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_rows),   TEST(test_missing_files),      TEST(test_cut_while_open),  TEST(test_not_finite_weight),
        TEST(test_shards), TEST(test_unexpected_tensors), TEST(test_stacked_experts),
    };
    return check_run(tests);
}
