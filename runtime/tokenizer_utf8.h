/* SPDX-License-Identifier: Apache-2.0
 *
 * Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MX_TOKENIZER_UTF8_H
#define MX_TOKENIZER_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest prefix of p[0 .. n), n > 0, that begins a well-formed character: `*need` is the length of that
 * character when complete, 0 when p[0] begins none (the result is 1 then: the bytes that one U+FFFD replaces). */
static inline size_t mx_utf8_prefix(const uint8_t *p, size_t n, size_t *need) {
    uint8_t b = p[0];
    *need = b < 0x80 ? 1 : b < 0xC2 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF5 ? 4 : 0;
    if (*need < 2 || n < 2) {
        return 1;
    }
    uint8_t low = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
    uint8_t high = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 1;
    }
    size_t at = 2;
    while (at < n && at < *need && (p[at] & 0xC0) == 0x80) {
        at++;
    }
    return at;
}

/* Offset of the first byte that is not part of a well-formed character, n when there is none. */
static inline size_t mx_utf8_valid(const uint8_t *p, size_t n) {
    size_t at = 0;
    while (at < n) {
        size_t need, have = mx_utf8_prefix(p + at, n - at, &need);
        if (have != need) {
            break;
        }
        at += have;
    }
    return at;
}

/* Code point of the well-formed character at p; *length is its bytes. */
static inline int32_t mx_utf8_decode(const uint8_t *p, size_t *length) {
    if (p[0] < 0x80) {
        *length = 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *length = 2;
        return (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0) {
        *length = 3;
        return (p[0] & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    *length = 4;
    return (p[0] & 0x07) << 18 | (p[1] & 0x3F) << 12 | (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* Writes code point `c` to out (4 bytes); its length. */
static inline size_t mx_utf8_encode(int32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

#endif
