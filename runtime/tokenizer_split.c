/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenisation: the regular expressions of the vocabularies' makers, as scanners. No backtracking, so time is
 * linear.
 *
 * GPT-2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * Qwen2    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 *          \s+(?!\S)|\s+
 * SmolLM   the text is first cut so that every \p{N} stands alone; GPT-2's expression inside each piece */
#include <utf8proc.h>

#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

struct scan {
    const uint8_t *p;
    size_t n;
    bool touched;     /* the scanner looked at the end of what is there */
    bool number_ends; /* SmolLM: a number is the end of the piece */
};

struct symbol {
    int32_t c; /* code point */
    enum mx_class class;
    size_t end; /* offset behind it */
};

/* Unicode White_Space. */
static bool is_space(int32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

enum mx_class mx_class_of(int32_t c) {
    if (is_space(c)) {
        return MX_SPACE;
    }
    if (c < 0x80) {
        return (c | 32) >= 'a' && (c | 32) <= 'z' ? MX_LETTER : c >= '0' && c <= '9' ? MX_NUMBER : MX_OTHER;
    }
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return MX_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return MX_NUMBER;
    default:
        return MX_OTHER;
    }
}

static struct symbol look(struct scan *s, size_t at) {
    struct symbol y = {.c = -1, .class = MX_END, .end = at};
    if (at >= s->n) {
        s->touched = true;
        return y;
    }
    size_t length;
    y.c = mx_utf8_decode(s->p + at, &length);
    y.class = mx_class_of(y.c);
    y.end = at + length;
    if (y.class == MX_NUMBER && s->number_ends) {
        y.class = MX_END;
    }
    return y;
}

static bool is_newline(int32_t c) {
    return c == '\r' || c == '\n';
}

/* End of the run of `class` that begins at `at`. */
static size_t run(struct scan *s, size_t at, enum mx_class class) {
    for (;;) {
        struct symbol y = look(s, at);
        if (y.class != class) {
            return at;
        }
        at = y.end;
    }
}

/* 's 't 'm 'd 're 've 'll at offset 0: its end, or 0. With `fold` in any case; the long s (U+017F) folds to s. */
static size_t contraction(struct scan *s, bool fold) {
    if (s->p[0] != '\'') {
        return 0;
    }
    struct symbol a = look(s, 1);
    int32_t x = fold && a.c >= 'A' && a.c <= 'Z' ? a.c + 32 : fold && a.c == 0x17F ? 's' : a.c;
    if (x == 's' || x == 't' || x == 'm' || x == 'd') {
        return a.end;
    }
    if (x != 'r' && x != 'v' && x != 'l') {
        return 0;
    }
    struct symbol b = look(s, a.end);
    int32_t y = fold && b.c >= 'A' && b.c <= 'Z' ? b.c + 32 : b.c;
    return y == (x == 'l' ? 'l' : 'e') ? b.end : 0;
}

/* \s+(?!\S)|\s+ : a run of spaces leaves its last character to the word that follows. */
static size_t spaces(struct scan *s, bool newlines) {
    size_t at = 0, last = 0, newline_end = 0;
    struct symbol y = look(s, 0);
    while (y.class == MX_SPACE) {
        last = at;
        at = y.end;
        if (newlines && is_newline(y.c)) {
            newline_end = at;
        }
        y = look(s, at);
    }
    return newline_end ? newline_end : y.class == MX_END || last == 0 ? at : last;
}

static size_t split_gpt2(struct scan *s) {
    size_t end = contraction(s, false);
    if (end) {
        return end;
    }
    struct symbol first = look(s, 0);
    size_t start = first.c == ' ' ? first.end : 0;
    struct symbol y = look(s, start);
    if (y.class != MX_SPACE && y.class != MX_END) {
        return run(s, start, y.class);
    }
    return spaces(s, false);
}

static size_t split_qwen2(struct scan *s) {
    size_t end = contraction(s, true);
    if (end) {
        return end;
    }
    struct symbol first = look(s, 0);
    bool prefix = first.class != MX_LETTER && first.class != MX_NUMBER && !is_newline(first.c);
    size_t start = prefix ? first.end : 0;
    if (look(s, start).class == MX_LETTER) {
        return run(s, start, MX_LETTER);
    }
    if (first.class == MX_NUMBER) {
        return first.end;
    }
    start = first.c == ' ' ? first.end : 0;
    if (look(s, start).class == MX_OTHER) {
        size_t at = run(s, start, MX_OTHER);
        while (is_newline(look(s, at).c)) {
            at++;
        }
        return at;
    }
    return spaces(s, true);
}

/* Up to the first character that stands behind its neighbour in no token. */
static size_t split_seams(const struct mx_tokenizer *t, const uint8_t *p, size_t n, bool final) {
    for (size_t at = 1; at < n; at++) {
        uint32_t pair = p[at - 1] * 256u + p[at];
        if ((p[at] & 0xC0) != 0x80 && !(t->joins[pair / 32] >> pair % 32 & 1u)) {
            return at;
        }
    }
    return final ? n : 0;
}

size_t mx_split(const struct mx_tokenizer *t, const uint8_t *p, size_t n, bool final) {
    uint32_t pretokenizer = t->header->pretokenizer;
    struct scan s = {.p = p, .n = n};
    size_t end;
    if (pretokenizer == MX_TOK_PRE_SEAMS) {
        return split_seams(t, p, n, final);
    }
    if (pretokenizer == MX_TOK_PRE_DEEPSEEK) {
        return mx_split_deepseek(p, n, final);
    }
    if (pretokenizer == MX_TOK_PRE_QWEN2) {
        end = split_qwen2(&s);
    } else {
        struct symbol first = look(&s, 0);
        s.number_ends = pretokenizer == MX_TOK_PRE_SMOLLM;
        end = first.class == MX_NUMBER && s.number_ends ? first.end : split_gpt2(&s);
    }
    return s.touched && !final ? 0 : end;
}
