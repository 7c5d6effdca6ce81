/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON files of Hugging Face folders: the checkpoints of tests/data/reference, and what happens when one key of
 * theirs is changed. The expectations are the numbers that transformers' own classes were given
 * (tests/reference/make_checkpoints.py). */
#include <math.h>
#include <stdio.h>
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

static void test_numbers(void **state) {
    (void)state;
    struct pk_source *s = open_source(REFERENCE "moe-norm-tied");
    const struct mx_model *m = &s->model;
    assert_string_equal(m->id, "moe-norm-tied");
    assert_string_equal(m->architecture, "qwen2_moe");
    assert_true(m->hidden == 96 && m->layers == 2 && m->heads == 2 && m->kv_heads == 1 && m->head_dim == 48);
    assert_true(m->vocab == 131 && m->max_positions == 512 && m->tied == 1 && m->bos == 129);
    assert_true(m->eos_count == 1 && m->eos[0] == 130 && s->qkv_bias && s->shared_width == 56);
    assert_true(m->rms_eps == 1e-6f && m->rope_theta == 1e6f && m->inv_hidden == 1.0f / 96);
    assert_true(s->layers[1].routed == 6 && s->layers[1].top_k == 3 && s->layers[1].width == 32);
    assert_int_equal(s->layers[1].shared, 2); // 56 = 32 + 24
    assert_int_equal(s->layers[1].flags, MX_LAYER_NORM_TOPK | MX_LAYER_SHARED_GATE);
    pk_source_close(s);

    s = open_source(REFERENCE "moe-sparse-step/"); // layers 0 and 2 are dense
    assert_string_equal(s->model.id, "moe-sparse-step");
    assert_true(s->layers[0].routed == 0 && s->layers[0].shared == 1 && s->layers[0].width == 112);
    assert_true(s->layers[0].flags == 0 && s->layers[2].routed == 0);
    assert_true(s->layers[1].routed == 7 && s->layers[1].shared == 3 && s->shared_width == 72);
    assert_int_equal(s->layers[1].flags, MX_LAYER_SHARED_GATE);
    assert_non_null(strstr(s->chat_template, "<|im_start|>assistant"));
    pk_source_close(s);

    s = open_source(REFERENCE "moe-dead-sharded"); // layer 1 is dense, three files
    assert_true(s->n_files == 3 && s->layers[0].routed == 8 && s->layers[1].routed == 0 && s->layers[2].routed == 8);
    pk_source_close(s);

    s = open_source(REFERENCE "llama"); // rope_parameters, an explicit head_dim
    assert_true(s->model.head_dim == 16 && s->model.hidden == 272 && s->model.rope_theta == 1e5f);
    assert_true(!s->qkv_bias && s->model.rms_eps == 1e-5f && s->model.tied == 1);
    assert_true(s->layers[0].routed == 0 && s->layers[0].width == 48);
    pk_source_close(s);

    s = open_source(REFERENCE "qwen2");
    assert_true(s->qkv_bias && s->model.kv_heads == 5 && s->shared_width == 0 && s->layers[1].width == 272);
    pk_source_close(s);

    s = open_source(REFERENCE "mistral"); // positions up to its window
    assert_true(!s->qkv_bias && s->model.tied == 0 && s->model.max_positions == 300 && s->layers[1].width == 88);
    pk_source_close(s);

    s = open_source(REFERENCE "mixtral"); // w1, w3, w2 under the canonical names, and in the index of its shards
    assert_true(s->n_files == 2 && s->layers[0].routed == 5 && s->layers[0].top_k == 2 && s->layers[0].shared == 0);
    assert_true(s->layers[0].width == 40 && s->layers[0].flags == MX_LAYER_NORM_TOPK && s->model.rms_eps == 1e-5f);
    assert_non_null(pk_source_find(s, "model.layers.1.mlp.experts.4.up_proj.weight"));
    pk_source_close(s);

    s = open_source(REFERENCE "qwen3-moe"); // no shared expert, heads wider than the hidden size
    assert_true(s->layers[0].shared == 0 && s->layers[0].flags == MX_LAYER_NORM_TOPK && s->model.head_dim == 24);
    pk_source_close(s);

    s = open_source(REFERENCE "olmoe"); // the epsilon that its files leave out; intermediate_size is an expert's
    assert_true(s->layers[0].width == 16 && s->layers[0].flags == 0 && s->model.rms_eps == 1e-5f && !s->qkv_bias);
    pk_source_close(s);

    s = open_source(REFERENCE "deepseek"); // layer 0 is dense, two shared experts without a gate
    assert_true(s->layers[0].routed == 0 && s->layers[0].width == 104 && s->layers[1].routed == 7);
    assert_true(s->layers[1].shared == 2 && s->shared_width == 48 && s->layers[2].flags == 0);
    pk_source_close(s);
}

/* 1 / sqrt(d) is the nearest float: no float lies nearer, in exact integers. With f = n * 2^-k, the midpoint to the
 * next float is (2n ± 1) * 2^-(k+1), and m < 1 / sqrt(d) exactly when m^2 * d < 1. */
static void test_attention_scale(void **state) {
    (void)state;
    for (uint32_t d = 2; d <= 256; d += 2) {
        char text[16];
        snprintf(text, sizeof(text), "%u", d);
        write_changed(test_folder, "moe-f32", "config.json", "head_dim", text);
        copy("moe-f32", "model.safetensors");
        struct pk_error e;
        struct pk_source *s = pk_source_open(test_folder, &e);
        assert_non_null(s);
        int exponent;
        uint64_t n = (uint64_t)ldexpf(frexpf(s->model.attn_scale, &exponent), 24);
        int k = 24 - exponent; // attn_scale = n * 2^-k
        unsigned __int128 one = (unsigned __int128)1 << (2 * k + 2);
        unsigned __int128 below = (unsigned __int128)(2 * n - 1) * (2 * n - 1) * d;
        unsigned __int128 above = (unsigned __int128)(2 * n + 1) * (2 * n + 1) * d;
        assert_true(below < one && one < above);
        pk_source_close(s);
    }
}

static void test_refused_configs(void **state) {
    (void)state;
    static const struct {
        const char *key, *value, *part;
    } cases[] = {
        {"model_type", "\"mamba\"", "model_type"},
        {"model_type", NULL, "model_type"},
        {"model_type", "7", "model_type"},
        {"hidden_act", "\"gelu\"", "hidden_act"},
        {"hidden_size", "0", "hidden_size"},
        {"hidden_size", "48.0", "hidden_size"},
        {"hidden_size", "-48", "hidden_size"},
        {"hidden_size", "4611686018427387904", "hidden_size"},
        {"hidden_size", NULL, "hidden_size"},
        {"hidden_size", "49", "not a multiple of num_attention_heads"},
        {"hidden_size", "54", "the configuration asks for"},
        {"num_attention_heads", "0", "num_attention_heads"},
        {"num_key_value_heads", "2", "not a multiple of 2 key-value heads"},
        {"num_key_value_heads", "0", "num_key_value_heads"},
        {"num_key_value_heads", NULL, "k_proj.weight"}, // as many as query heads: the tensor is smaller
        {"num_attention_heads", "1025", "num_attention_heads"},
        {"head_dim", "15", "head dimension 15"},
        {"head_dim", "258", "head_dim"},
        {"num_hidden_layers", "0", "num_hidden_layers"},
        {"num_hidden_layers", "3", "model.layers.2.input_layernorm.weight\" (1 x 48) is missing"},
        {"num_hidden_layers", "1", "model.layers.1"},
        {"vocab_size", "102", "embed_tokens.weight\": the configuration asks for 102 x 48, the file has 101 x 48"},
        {"max_position_embeddings", NULL, "max_position_embeddings"},
        {"rms_norm_eps", "0", "rms_norm_eps"},
        {"rms_norm_eps", "\"1e-6\"", "rms_norm_eps"},
        {"rope_theta", "0", "rope_theta"},
        {"rope_theta", "-1.5", "rope_theta"},
        {"rope_scaling", "{\"type\":\"yarn\",\"factor\":4.0}", "rope_scaling"},
        {"rope_scaling", "{\"rope_type\":\"llama3\"}", "rope_scaling"},
        {"rope_scaling", "{\"factor\":2.0}", "rope_scaling"},
        {"rope_scaling", "true", "rope_scaling"},
        {"rope_parameters", "{\"rope_type\":\"linear\",\"rope_theta\":10000.0}", "rope_parameters"},
        {"rope_parameters", "{\"full_attention\":{\"rope_theta\":1e4}}", "rope_parameters"},
        {"rope_parameters", "{\"rope_theta\":1e4,\"partial_rotary_factor\":0.5}", "partial_rotary_factor"},
        {"partial_rotary_factor", "0.25", "partial_rotary_factor"},
        {"use_sliding_window", "true", "use_sliding_window"},
        {"is_causal", "false", "is_causal"},
        {"tie_word_embeddings", "true", "model.safetensors: tensor \"lm_head.weight\" is not the embedding"},
        {"layer_types", "[\"full_attention\",\"sliding_attention\"]", "layer_types"},
        {"num_experts", "1025", "num_experts"},
        {"num_experts", "6", "mlp.gate.weight"},
        {"num_experts", "0", "mlp.gate_proj.weight"}, // all layers dense: their tensors are not there
        {"num_experts", NULL, "num_experts"},
        {"num_experts_per_tok", "0", "num_experts_per_tok"},
        {"num_experts_per_tok", "6", "6 experts per token of 5"},
        {"num_experts_per_tok", "17", "num_experts_per_tok"},
        {"moe_intermediate_size", "25", "experts.0.gate_proj.weight\": the configuration asks for 25 x 48"},
        {"shared_expert_intermediate_size", "47", "shared_expert.gate_proj.weight"},
        {"shared_expert_intermediate_size", "0", "shared_expert_intermediate_size"},
        {"shared_expert_intermediate_size", "1537", "more than 64 times"},
        {"norm_topk_prob", "1", "norm_topk_prob"},
        {"decoder_sparse_step", "0", "decoder_sparse_step"},
        {"mlp_only_layers", "[2]", "mlp_only_layers"},
        {"mlp_only_layers", "[\"0\"]", "mlp_only_layers"},
        {"mlp_only_layers", "3", "mlp_only_layers"},
        {"mlp_only_layers", "[0]", "model.layers.0.mlp.gate_proj.weight\" (64 x 48) is missing"},
        {"qkv_bias", "false", "_proj.bias\" has no place"},
        {"tie_word_embeddings", "\"yes\"", "tie_word_embeddings"},
        {"eos_token_id", "101", "outside the vocabulary of 101"},
        {"eos_token_id", "-1", "eos_token_id"},
        {"eos_token_id", "[1,2,3,4,5,6,7,8,9]", "more than 8 end tokens"},
        {"eos_token_id", "{}", "eos_token_id"},
        {"bos_token_id", "101", "begin token 101"},
        {"quantization_config", "{\"quant_method\":\"gptq\"}", "\"bits\""},
        {"quantization_config", "{\"quant_method\":\"fp8\",\"bits\":4}", "expected \"gptq\" or \"awq\", found \"fp8\""},
        {"quantization_config", "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32}", "no tensor is"},
    };
    copy("moe-f32", "model.safetensors");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_changed(test_folder, "moe-f32", "config.json", cases[i].key, cases[i].value);
        refused(MOXIE_ERROR_MODEL, cases[i].part);
    }
    static const char *const llama[] = {"attention_bias", "mlp_bias", "rope_interleaved"};
    copy("llama", "model.safetensors");
    for (size_t i = 0; i < 3; i++) {
        write_changed(test_folder, "llama", "config.json", llama[i], "true");
        refused(MOXIE_ERROR_MODEL, llama[i]);
    }
    copy("olmoe", "model.safetensors");
    write_changed(test_folder, "olmoe", "config.json", "clip_qkv", "8.0");
    refused(MOXIE_ERROR_MODEL, "clip_qkv");
    write_changed(test_folder, "olmoe", "config.json", "model_type", "\"qwen3_moe\""); // a norm of each head
    refused(MOXIE_ERROR_MODEL, "moe_intermediate_size");
    static const struct {
        const char *key, *value, *part;
    } deepseek[] = {
        {"scoring_func", "\"sigmoid\"", "scoring_func"},
        {"n_shared_experts", "3", "shared_expert.gate_proj.weight\": the configuration asks for 72 x 80"},
        {"n_shared_experts", "0", "shared_expert.down_proj.weight\" has no place"},
        {"first_k_dense_replace", "0", "model.layers.0.mlp.gate.weight"},
        {"moe_layer_freq", "2", "model.layers.1.mlp.gate_proj.weight"},
        {"moe_layer_freq", "0", "moe_layer_freq"},
        {"num_experts_per_tok", NULL, "num_experts_per_tok"},
    };
    copy("deepseek", "model.safetensors");
    for (size_t i = 0; i < sizeof(deepseek) / sizeof(deepseek[0]); i++) {
        write_changed(test_folder, "deepseek", "config.json", deepseek[i].key, deepseek[i].value);
        refused(MOXIE_ERROR_MODEL, deepseek[i].part);
    }
}

static void test_accepted_configs(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"rope_scaling", "null"},      {"rope_scaling", "{\"rope_type\":\"default\"}"},
        {"hidden_act", NULL},          {"layer_types", "[\"full_attention\",\"full_attention\"]"},
        {"rms_norm_eps", NULL},        {"eos_token_id", "null"},
        {"bos_token_id", "null"},      {"is_causal", "true"},
        {"rope_theta", "1000000"},     {"head_dim", "16"},
        {"decoder_sparse_step", NULL}, {"mlp_only_layers", NULL},
    };
    copy("moe-f32", "model.safetensors");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_changed(test_folder, "moe-f32", "config.json", cases[i].key, cases[i].value);
        pk_source_close(open_source(test_folder));
    }
    write_changed(test_folder, "moe-f32", "config.json", "max_position_embeddings", "1010000");
    struct pk_source *s = open_source(test_folder);
    assert_int_equal(s->model.max_positions, 262144); // what the runtime can address
    pk_source_close(s);
    write_changed(test_folder, "moe-f32", "config.json", "rope_scaling", "{\"rope_theta\":321,\"type\":\"default\"}");
    write_changed(test_folder, NULL, "config.json", "rope_parameters", "{\"rope_theta\":77}");
    s = open_source(test_folder);
    assert_true(s->model.rope_theta == 321);
    /* the head in the file is ignored where it is the embedding */
    struct bytes b = read_whole(in_folder(test_folder, "model.safetensors"));
    const struct pk_tensor *head = pk_source_find(s, "lm_head.weight");
    memcpy(b.data + head->offset, b.data + pk_source_find(s, "model.embed_tokens.weight")->offset,
           head->rows * head->row_bytes);
    write_file(in_folder(test_folder, "model.safetensors"), b.data, b.n);
    free_bytes(&b);
    pk_source_close(s);
    write_changed(test_folder, "moe-f32", "config.json", "tie_word_embeddings", "true");
    s = open_source(test_folder);
    assert_true(s->model.tied && pk_source_find(s, "lm_head.weight")->ignored);
    assert_false(pk_source_find(s, "model.embed_tokens.weight")->ignored);
    pk_source_close(s);
}

/* What a key means when it is absent, or beside another, differs from family to family. */
static void test_family_rules(void **state) {
    (void)state;
    static const struct {
        const char *window; /* NULL: absent */
        uint32_t positions;
    } windows[] = {{"300", 300}, {"null", 8192}, {NULL, 4096}};
    copy("mistral", "model.safetensors");
    for (size_t i = 0; i < 3; i++) {
        write_changed(test_folder, "mistral", "config.json", "max_position_embeddings", "8192");
        write_changed(test_folder, NULL, "config.json", "sliding_window", windows[i].window);
        struct pk_source *s = open_source(test_folder);
        assert_int_equal(s->model.max_positions, windows[i].positions);
        pk_source_close(s);
    }
    copy("deepseek", "model.safetensors");
    for (uint32_t taken = 1; taken <= 2; taken++) { /* the weight of one expert stays what the router says */
        write_changed(test_folder, "deepseek", "config.json", "norm_topk_prob", "true");
        write_changed(test_folder, NULL, "config.json", "num_experts_per_tok", taken == 1 ? "1" : "2");
        struct pk_source *s = open_source(test_folder);
        assert_int_equal(s->layers[1].flags & MX_LAYER_NORM_TOPK, taken == 1 ? 0 : MX_LAYER_NORM_TOPK);
        pk_source_close(s);
    }
    copy("gemma", "model.safetensors");
    write_changed(test_folder, "gemma", "config.json", "hidden_activation", "\"gelu_pytorch_tanh\"");
    pk_source_close(open_source(test_folder));
    write_changed(test_folder, NULL, "config.json", "hidden_act", "\"silu\"");
    refused(MOXIE_ERROR_MODEL, "hidden_act");
}

static void test_texts(void **state) {
    (void)state;
    copy("moe-f32", "model.safetensors");
    copy("moe-f32", "config.json");
    static const char generation[] = "{\"do_sample\":true,\"temperature\":0.7,\"top_p\":0.8,\"top_k\":20,"
                                     "\"repetition_penalty\":1.05,\"eos_token_id\":[99,100,5],\"pad_token_id\":9}";
    static const char tokenizer[] =
        "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"T\"},{\"name\":\"default\",\"template\":\"D\"}],"
        "\"eos_token\":\"<|im_end|>\"}";
    write_file(in_folder(test_folder, "generation_config.json"), generation, sizeof(generation) - 1);
    write_file(in_folder(test_folder, "tokenizer_config.json"), tokenizer, sizeof(tokenizer) - 1);
    write_file(in_folder(test_folder, "LICENSE"), "Terms \xc3\xa9\n", 9);
    struct pk_source *s = open_source(test_folder);
    const struct mx_generation *g = &s->model.generation;
    assert_true(g->do_sample == 1 && g->temperature == 0.7f && g->top_p == 0.8f && g->top_k == 20);
    assert_true(g->repetition_penalty == 1.05f && g->min_p == 0);
    static const uint32_t eos[] = {100, 99, 5};
    assert_int_equal(s->model.eos_count, 3);
    assert_memory_equal(s->model.eos, eos, sizeof(eos));
    assert_string_equal(s->chat_template, "D");
    assert_string_equal(s->license, "Terms \xc3\xa9\n");
    pk_source_close(s);

    // A template file of its own counts more; top_k 0 switches the filter off, which the whole vocabulary does too;
    // temperature 0 is greedy.
    write_file(in_folder(test_folder, "chat_template.jinja"), "J", 1);
    write_file(in_folder(test_folder, "generation_config.json"), "{\"top_k\":0,\"temperature\":0,\"do_sample\":true}",
               44);
    s = open_source(test_folder);
    assert_string_equal(s->chat_template, "J");
    assert_true(s->model.generation.top_k == 101 && s->model.generation.do_sample == 0);
    pk_source_close(s);

    // Sampling without a word about top_k has transformers' default, 50; null is a word, and so is greedy decoding.
    static const struct {
        const char *text;
        uint32_t top_k;
    } defaults[] = {{"{\"do_sample\":true}", 50}, {"{\"do_sample\":true,\"top_k\":null}", 101}, {"{}", 0}};
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        write_file(in_folder(test_folder, "generation_config.json"), defaults[i].text, strlen(defaults[i].text));
        s = open_source(test_folder);
        assert_int_equal(s->model.generation.top_k, defaults[i].top_k);
        pk_source_close(s);
    }

    static const struct {
        const char *file, *text, *part;
        int code;
    } bad[] = {
        {"LICENSE", "\xff", "not UTF-8", MOXIE_ERROR_FORMAT},
        {"generation_config.json", "{\"temperature\":-1}", "temperature", MOXIE_ERROR_MODEL},
        {"generation_config.json", "{\"temperature\":0.0001}", "temperature", MOXIE_ERROR_MODEL},
        {"generation_config.json", "{\"repetition_penalty\":2000}", "repetition_penalty", MOXIE_ERROR_MODEL},
        {"generation_config.json", "{\"top_p\":1.5}", "top_p", MOXIE_ERROR_MODEL},
        {"generation_config.json", "{\"eos_token_id\":101}", "generation_config.json", MOXIE_ERROR_MODEL},
        {"generation_config.json", "{\"top_k\":1e999}", "JSON", MOXIE_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"chat_template\":3}", "chat_template", MOXIE_ERROR_MODEL},
        {"tokenizer_config.json", "[", "JSON", MOXIE_ERROR_TRUNCATED},
        {"config.json", "", "JSON", MOXIE_ERROR_TRUNCATED},
        {"config.json", "[]", "expected a JSON object", MOXIE_ERROR_FORMAT},
        {"config.json", "{\"model_type\":\"llama\",\"model_type\":\"qwen2\"}", "duplicate", MOXIE_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *path = in_folder(test_folder, bad[i].file);
        struct bytes before = {0};
        if (access(path, F_OK) == 0) {
            before = read_whole(path);
        }
        write_file(path, bad[i].text, strlen(bad[i].text));
        if (strcmp(bad[i].file, "tokenizer_config.json") == 0) {
            assert_int_equal(unlink(in_folder(test_folder, "chat_template.jinja")), 0);
        }
        refused(bad[i].code, bad[i].part);
        write_file(in_folder(test_folder, bad[i].file), before.data ? before.data : (uint8_t *)"{}",
                   before.data ? before.n : 2);
        write_file(in_folder(test_folder, "chat_template.jinja"), "J", 1);
        free_bytes(&before);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_in_folder, end_in_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_numbers),          TEST(test_attention_scale), TEST(test_refused_configs),
        TEST(test_accepted_configs), TEST(test_family_rules),    TEST(test_texts),
    };
    return check_run(tests);
}
