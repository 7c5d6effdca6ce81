/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules in a tokenizer.json. They are compared with the few combinations that the runtime implements. */
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define QWEN2_REGEX                                                                                                    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"  \
    "\\s+(?!\\S)|\\s+"

static bool is_type(const json_t *object, const char *type) {
    const char *found = json_string_value(json_object_get(object, "type"));
    return found && strcmp(found, type) == 0;
}

/* A bool, `fallback` when absent. */
static bool flag(const json_t *object, const char *key, bool fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* The steps of a "Sequence" (its array is called `list`), or the one step that `rule` is. */
static size_t steps(const json_t *rule, const char *list, const json_t *out[], size_t max) {
    if (!is_type(rule, "Sequence")) {
        out[0] = rule;
        return rule ? 1 : 0;
    }
    const json_t *array = json_object_get(rule, list);
    size_t n = json_array_size(array);
    for (size_t i = 0; i < n && i < max; i++) {
        out[i] = json_array_get(array, i);
    }
    return n;
}

static bool read_normalizer(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[1];
    size_t n = steps(pk_json_get(j, "normalizer"), "normalizers", step, 1);
    if (n == 0) {
        v->normalizer = MX_TOK_NORMAL_NONE;
    } else if (n == 1 && is_type(step[0], "NFC")) {
        v->normalizer = MX_TOK_NORMAL_NFC;
    } else {
        return pk_json_fail(j, "normalizer", "none or NFC");
    }
    return true;
}

static bool is_byte_level(const json_t *step, bool regex) {
    return is_type(step, "ByteLevel") && !flag(step, "add_prefix_space", true) &&
           flag(step, "use_regex", true) == regex;
}

static bool is_qwen2_split(const json_t *step) {
    const char *regex = json_string_value(json_object_get(json_object_get(step, "pattern"), "Regex"));
    const char *behavior = json_string_value(json_object_get(step, "behavior"));
    return is_type(step, "Split") && regex && strcmp(regex, QWEN2_REGEX) == 0 && behavior &&
           strcmp(behavior, "Isolated") == 0 && !flag(step, "invert", false);
}

static bool read_pretokenizer(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[2];
    size_t n = steps(pk_json_get(j, "pre_tokenizer"), "pretokenizers", step, 2);
    if (n == 1 && is_byte_level(step[0], true)) {
        v->pretokenizer = MX_TOK_PRE_GPT2;
    } else if (n == 2 && is_qwen2_split(step[0]) && is_byte_level(step[1], false)) {
        v->pretokenizer = MX_TOK_PRE_QWEN2;
    } else if (n == 2 && is_type(step[0], "Digits") && flag(step[0], "individual_digits", false) &&
               is_byte_level(step[1], true)) {
        v->pretokenizer = MX_TOK_PRE_SMOLLM;
    } else {
        return pk_json_fail(j, "pre_tokenizer",
                            "ByteLevel (GPT-2), Digits and ByteLevel (SmolLM), or Split and ByteLevel (Qwen2)");
    }
    return true;
}

/* TemplateProcessing whose "single" is the text alone, or one special token and the text: that token is bos. */
static bool read_template(const struct pk_json *j, const json_t *step, struct pk_vocab *v) {
    const json_t *single = json_object_get(step, "single");
    size_t n = json_array_size(single);
    const json_t *first = json_object_get(json_array_get(single, 0), "SpecialToken");
    const char *name = json_string_value(json_object_get(first, "id"));
    if (n < 1 || n > 2 || !json_object_get(json_array_get(single, n - 1), "Sequence") || (n == 2 && !name)) {
        return pk_json_fail(j, "post_processor", "at most one token before the text, none after it");
    }
    if (n == 2) {
        const json_t *ids = json_object_get(json_object_get(json_object_get(step, "special_tokens"), name), "ids");
        const json_t *id = json_array_get(ids, 0);
        if (json_array_size(ids) != 1 || !json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= MX_TOK_COUNT_MAX) {
            return pk_json_fail(j, "post_processor", "the id of the token before the text");
        }
        v->add_bos = true;
        v->bos = (uint32_t)json_integer_value(id);
    }
    return true;
}

static bool read_post_processor(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[2];
    size_t n = steps(pk_json_get(j, "post_processor"), "processors", step, 2);
    for (size_t i = 0; i < n; i++) {
        if (i < 2 && is_type(step[i], "ByteLevel")) {
            continue; /* only moves the offsets that it reports */
        }
        if (i >= 2 || !is_type(step[i], "TemplateProcessing")) {
            return pk_json_fail(j, "post_processor", "none, ByteLevel or TemplateProcessing");
        }
        if (!read_template(j, step[i], v)) {
            return false;
        }
    }
    return true;
}

static bool read_model(const struct pk_json *root, struct pk_vocab *v) {
    const struct pk_json model = {json_object_get(root->object, "model"), root->path, root->e};
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!json_is_object(model.object) || (json_object_get(model.object, "type") && !is_type(model.object, "BPE"))) {
        return pk_fail(root->e, MOXIE_ERROR_TOKENIZER, "%s: \"model\" is not of type BPE", root->path);
    }
    for (size_t i = 0; i < sizeof(affixes) / sizeof(affixes[0]); i++) {
        const char *affix;
        if (!pk_json_string(&model, affixes[i], &affix) ||
            (affix && affix[0] && !pk_json_fail(&model, affixes[i], "none"))) {
            return false;
        }
    }
    if (flag(model.object, "byte_fallback", false)) {
        return pk_json_fail(&model, "byte_fallback", "false");
    }
    v->ignore_merges = flag(model.object, "ignore_merges", false);
    return true;
}

bool pk_hf_tokenizer_rules(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[1];
    size_t n = steps(pk_json_get(j, "decoder"), "decoders", step, 1);
    if (n != 1 || !is_type(step[0], "ByteLevel")) {
        return pk_json_fail(j, "decoder", "ByteLevel");
    }
    return read_model(j, v) && read_normalizer(j, v) && read_pretokenizer(j, v) && read_post_processor(j, v);
}
