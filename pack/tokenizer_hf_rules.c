/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules in a tokenizer.json. They are compared with the few combinations that the runtime implements. */
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define SPACE "\xE2\x96\x81" /* U+2581 */

#define QWEN2_REGEX                                                                                                    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"  \
    "\\s+(?!\\S)|\\s+"

#define DEEPSEEK_LETTERS                                                                                               \
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373"          \
    "\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-"           \
    "\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-"         \
    "\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"           \
    "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-"         \
    "\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-"            \
    "\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-"           \
    "\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-"          \
    "\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-"               \
    "\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943"

/* The steps of DeepSeek LLM (runtime/tokenizer_split_deepseek.c). */
static const char *const deepseek_regexes[] = {
    "[\r\n]",
    "\\s?[" DEEPSEEK_LETTERS "]+",
    "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
    "\\s+$",
    "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
};

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

static bool is_split(const json_t *step, const char *expected) {
    const char *regex = json_string_value(json_object_get(json_object_get(step, "pattern"), "Regex"));
    const char *behavior = json_string_value(json_object_get(step, "behavior"));
    return is_type(step, "Split") && regex && strcmp(regex, expected) == 0 && behavior &&
           strcmp(behavior, "Isolated") == 0 && !flag(step, "invert", false);
}

static bool is_deepseek(const json_t *step[], size_t n) {
    size_t splits = sizeof(deepseek_regexes) / sizeof(deepseek_regexes[0]);
    bool same = n == splits + 2 && is_type(step[splits], "Digits") && flag(step[splits], "individual_digits", false) &&
                is_byte_level(step[splits + 1], false);
    for (size_t i = 0; same && i < splits; i++) {
        same = is_split(step[i], deepseek_regexes[i]);
    }
    return same;
}

static bool read_pretokenizer(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[7];
    size_t n = steps(pk_json_get(j, "pre_tokenizer"), "pretokenizers", step, 7);
    if (n == 1 && is_byte_level(step[0], true)) {
        v->pretokenizer = MX_TOK_PRE_GPT2;
    } else if (n == 2 && is_split(step[0], QWEN2_REGEX) && is_byte_level(step[1], false)) {
        v->pretokenizer = MX_TOK_PRE_QWEN2;
    } else if (n == 2 && is_type(step[0], "Digits") && flag(step[0], "individual_digits", false) &&
               is_byte_level(step[1], true)) {
        v->pretokenizer = MX_TOK_PRE_SMOLLM;
    } else if (is_deepseek(step, n)) {
        v->pretokenizer = MX_TOK_PRE_DEEPSEEK;
    } else {
        return pk_json_fail(
            j, "pre_tokenizer",
            "ByteLevel (GPT-2), Digits and ByteLevel (SmolLM), Split and ByteLevel (Qwen2), or DeepSeek's");
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
        v->flags |= MX_TOK_ADD_BOS;
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
    const json_t *dropout = pk_json_get(&model, "dropout");
    if (dropout && json_number_value(dropout) != 0) { /* merges left out at random */
        return pk_json_fail(&model, "dropout", "none");
    }
    v->flags |= flag(model.object, "ignore_merges", false) ? MX_TOK_IGNORE_MERGES : 0;
    return true;
}

/* Does `step` replace `from` by `to`? */
static bool is_replace(const json_t *step, const char *from, const char *to) {
    const char *pattern = json_string_value(json_object_get(json_object_get(step, "pattern"), "String"));
    const char *content = json_string_value(json_object_get(step, "content"));
    return is_type(step, "Replace") && pattern && content && strcmp(pattern, from) == 0 && strcmp(content, to) == 0;
}

static bool is_text(const json_t *object, const char *key, const char *text) {
    const char *found = json_string_value(json_object_get(object, key));
    return found && strcmp(found, text) == 0;
}

/* {"type": "Metaspace", "prepend_scheme": "first", "split": false}: spaces become U+2581, one more is put before the
 * text if it does not begin with one. */
static bool read_metaspace(const json_t *step, struct pk_vocab *v) {
    static const struct {
        const char *scheme;
        uint32_t flags;
    } schemes[] = {{"always", MX_TOK_PREFIX | MX_TOK_PREFIX_UNLESS},
                   {"first", MX_TOK_PREFIX | MX_TOK_PREFIX_UNLESS | MX_TOK_PREFIX_FIRST},
                   {"never", 0}};
    if (!is_type(step, "Metaspace") || !is_text(step, "replacement", SPACE) || flag(step, "split", true) ||
        !flag(step, "add_prefix_space", true)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (is_text(step, "prepend_scheme", schemes[i].scheme)) {
            v->flags |= schemes[i].flags;
            return true;
        }
    }
    return false;
}

/* How spaces become U+2581: in the normaliser, [Prepend U+2581,] Replace, or in the pre-tokenizer, Metaspace. */
static bool read_spaces(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[2], *pre[1];
    size_t n = steps(pk_json_get(j, "normalizer"), "normalizers", step, 2), used = 0;
    size_t n_pre = steps(pk_json_get(j, "pre_tokenizer"), "pretokenizers", pre, 1);
    if (n > used && n <= 2 && is_type(step[used], "Prepend") && is_text(step[used], "prepend", SPACE)) {
        v->flags |= MX_TOK_PREFIX;
        used++;
    }
    bool replaced = n > used && n <= 2 && is_replace(step[used], " ", SPACE);
    used += replaced;
    if (used != n || (n > 0 && !replaced)) {
        return pk_json_fail(j, "normalizer", "none, or Prepend and Replace of spaces");
    }
    /* Gemma's Split at spaces finds none: they were replaced. */
    bool idle = n_pre == 1 && replaced && is_type(pre[0], "Split") &&
                is_text(json_object_get(pre[0], "pattern"), "String", " ");
    if (replaced ? n_pre != 0 && !idle : n_pre != 1 || !read_metaspace(pre[0], v)) {
        return pk_json_fail(j, "pre_tokenizer", replaced ? "none" : "Metaspace that does not split");
    }
    return true;
}

/* A SentencePiece model that was converted: merges of characters, and bytes for those that are no token. */
static bool read_characters(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[4];
    size_t n = steps(pk_json_get(j, "decoder"), "decoders", step, 4);
    bool strip = n == 4 && is_type(step[3], "Strip") && is_text(step[3], "content", " ") &&
                 json_integer_value(json_object_get(step[3], "start")) == 1 &&
                 json_integer_value(json_object_get(step[3], "stop")) == 0;
    if ((n != 3 && !strip) || !is_replace(step[0], SPACE, " ") || !is_type(step[1], "ByteFallback") ||
        !is_type(step[2], "Fuse")) {
        return pk_json_fail(j, "decoder", "Replace, ByteFallback, Fuse and perhaps Strip");
    }
    if (v->flags & MX_TOK_IGNORE_MERGES) {
        return pk_fail(j->e, MOXIE_ERROR_TOKENIZER, "%s: ignore_merges beside byte_fallback is not supported", j->path);
    }
    v->alphabet = PK_ALPHABET_SPACES;
    v->pretokenizer = MX_TOK_PRE_SEAMS;
    v->normalizer = MX_TOK_NORMAL_SPACES;
    v->flags |= MX_TOK_CHARACTERS | (strip ? MX_TOK_STRIP : 0);
    return read_spaces(j, v) && read_post_processor(j, v);
}

bool pk_hf_tokenizer_rules(const struct pk_json *j, struct pk_vocab *v) {
    const json_t *step[1];
    if (!read_model(j, v)) {
        return false;
    }
    if (flag(json_object_get(j->object, "model"), "byte_fallback", false)) {
        return read_characters(j, v);
    }
    size_t n = steps(pk_json_get(j, "decoder"), "decoders", step, 1);
    if (n != 1 || !is_type(step[0], "ByteLevel")) {
        return pk_json_fail(j, "decoder", "ByteLevel");
    }
    return read_normalizer(j, v) && read_pretokenizer(j, v) && read_post_processor(j, v);
}
