/* SPDX-License-Identifier: Apache-2.0
 *
 * The alphabets in which vocabulary files write bytes. */
#include <string.h>
#include <utf8proc.h>

#include "pack/tokenizer_vocab.h"

/* The byte that a character of the printable alphabet stands for, -1 if it is not in it: bytes 21-7E, A1-AC and AE-FF
 * are themselves, the other 68 in ascending order are U+0100 and following. */
static int alphabet_byte(int32_t c) {
    if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF)) {
        return c;
    }
    c -= 0x100;
    return c < 0 || c > 67 ? -1 : c <= 0x20 ? c : c <= 0x42 ? c - 0x21 + 0x7F : 0xAD;
}

/* Code point of the character at text[*at], and *at behind it; -1: no well-formed UTF-8. */
static int32_t next_character(const char *text, size_t bytes, size_t *at) {
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + *at, (utf8proc_ssize_t)(bytes - *at), &c);
    *at += n > 0 ? (size_t)n : 0;
    return n > 0 ? c : -1;
}

bool pk_is_utf8(const char *text, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        if (next_character(text, bytes, &at) < 0) {
            return false;
        }
    }
    return true;
}

static int64_t from_printable(const char *text, uint32_t bytes, uint8_t *out) {
    int64_t n = 0;
    for (size_t at = 0; at < bytes;) {
        int byte = alphabet_byte(next_character(text, bytes, &at));
        if (byte < 0) {
            return -1;
        }
        out[n++] = (uint8_t)byte;
    }
    return n;
}

/* UTF-8 with U+2581 made a space. */
static int64_t from_spaces(const char *text, uint32_t bytes, uint8_t *out) {
    int64_t n = 0;
    for (size_t at = 0, end = 0; at < bytes; at = end) {
        int32_t c = next_character(text, bytes, &end);
        if (c < 0) {
            return -1;
        }
        memcpy(out + n, c == 0x2581 ? " " : text + at, c == 0x2581 ? 1 : end - at);
        n += c == 0x2581 ? 1 : (int64_t)(end - at);
    }
    return n;
}

int pk_vocab_byte_name(const char *text, size_t bytes) {
    static const char digits[] = "0123456789ABCDEF";
    if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') {
        return -1;
    }
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

int64_t pk_vocab_plain_bytes(const struct pk_vocab *v, const char *text, uint32_t bytes, uint8_t *out) {
    switch (v->alphabet) {
    case PK_ALPHABET_PRINTABLE:
        return from_printable(text, bytes, out);
    case PK_ALPHABET_SPACES:
        return from_spaces(text, bytes, out);
    default:
        memcpy(out, text, bytes);
        return bytes;
    }
}

int64_t pk_vocab_bytes(const struct pk_vocab *v, uint32_t id, uint8_t *out) {
    const struct pk_vocab_token *t = &v->tokens[id];
    int byte = t->kind == MX_TOK_BYTE ? pk_vocab_byte_name(t->text, t->bytes) : -1;
    if (byte >= 0) {
        out[0] = (uint8_t)byte;
        return 1;
    }
    switch (t->kind) {
    case MX_TOK_UNUSED:
        return 0;
    case MX_TOK_CONTROL:
        memcpy(out, t->text, t->bytes);
        return t->bytes;
    case MX_TOK_USER:
        if (v->alphabet != PK_ALPHABET_SPACES) {
            memcpy(out, t->text, t->bytes);
            return t->bytes;
        }
        return from_spaces(t->text, t->bytes, out);
    default:
        return pk_vocab_plain_bytes(v, t->text, t->bytes, out);
    }
}
