/* SPDX-License-Identifier: Apache-2.0
 *
 * qwen.tiktoken: the vocabulary of Qwen's first generation. A line is the base64 of a token's bytes, a space and its
 * rank, which is its id. The control tokens behind them stand in that model's code, not in a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define FILE_MAX_BYTES (64u << 20)
#define EXTRAS 205 /* <|extra_0|> to <|extra_204|> */
#define EXTRA_BYTES 16

static int digit64(char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Decodes text[0 .. n) in place; the number of bytes, -1: it is not base64. */
static int64_t decode64(char *text, size_t n) {
    int64_t made = 0;
    if (n == 0 || n % 4 != 0) {
        return -1;
    }
    size_t filler = (text[n - 1] == '=') + (text[n - 1] == '=' && text[n - 2] == '=');
    for (size_t at = 0; at < n; at += 4) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
            int digit = at + i < n - filler ? digit64(text[at + i]) : 0;
            if (digit < 0) {
                return -1;
            }
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t i = 0; i < (at + 4 < n ? 3 : 3 - filler); i++) {
            text[made++] = (char)(bits >> (16 - 8 * i));
        }
    }
    return made;
}

/* A decimal number that fills text[0 .. n); -1: it is none. */
static int64_t number(const char *text, size_t n) {
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || n > 9) {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return n > 0 ? value : -1;
}

static bool add_line(struct pk_vocab *v, const char *path, uint64_t line, char *text, size_t n, struct pk_error *e) {
    char *space = memchr(text, ' ', n);
    int64_t id = space ? number(space + 1, n - (size_t)(space + 1 - text)) : -1;
    int64_t bytes = id >= 0 ? decode64(text, (size_t)(space - text)) : -1;
    if (bytes <= 0) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: line %llu is not base64, a space and a rank", path,
                       (unsigned long long)line);
    }
    return pk_vocab_set(v, id, text, (size_t)bytes, MX_TOK_NORMAL, e);
}

static bool add_control(struct pk_vocab *v, const char *text, struct pk_error *e) {
    return pk_vocab_set(v, v->n_tokens, text, strlen(text), MX_TOK_CONTROL, e);
}

/* Control tokens, scores and rules, when the lines are read; `names` has room for the names of the extra tokens. */
static bool finish(struct pk_vocab *v, char *names, struct pk_error *e) {
    uint32_t end = v->n_tokens;
    v->scores = malloc((end + (size_t)1) * sizeof(*v->scores));
    if (!v->scores) {
        return pk_fail_memory(e) != NULL;
    }
    for (uint32_t id = 0; id < end; id++) {
        v->scores[id] = -(float)id; /* exact: ids are below 2^24 */
    }
    if (!add_control(v, "<|endoftext|>", e) || !add_control(v, "<|im_start|>", e) || !add_control(v, "<|im_end|>", e)) {
        return false;
    }
    for (unsigned i = 0; i < EXTRAS; i++, names += EXTRA_BYTES) {
        snprintf(names, EXTRA_BYTES, "<|extra_%u|>", i);
        if (!add_control(v, names, e)) {
            return false;
        }
    }
    v->alphabet = PK_ALPHABET_RAW;
    v->pretokenizer = MX_TOK_PRE_QWEN2;
    v->normalizer = MX_TOK_NORMAL_NFC;
    v->flags = MX_TOK_RANKS | MX_TOK_IGNORE_MERGES;
    v->eos = end;
    return pk_vocab_add_end(v, end, e);
}

bool pk_vocab_read_tiktoken(const struct pk_folder *folder, const char *name, struct pk_vocab *v, struct pk_error *e) {
    uint64_t bytes = 0, line = 0;
    char *text = pk_folder_load(folder, name, FILE_MAX_BYTES, &bytes, e);
    char *path = text ? pk_folder_path(folder, name, e) : NULL;
    v->owned = text ? realloc(text, bytes + EXTRAS * EXTRA_BYTES) : NULL;
    if (text && !v->owned) {
        free(text);
        pk_fail_memory(e);
    }
    bool ok = v->owned && path;
    for (char *at = v->owned, *end = ok ? at + bytes : at; ok && at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - at);
        n -= n > 0 && at[n - 1] == '\r';
        line++;
        ok = n == 0 || add_line(v, path, line, at, n, e);
        at = stop + 1;
    }
    ok = ok && finish(v, v->owned + bytes, e);
    free(path);
    return ok;
}
