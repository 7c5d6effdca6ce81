/* SPDX-License-Identifier: Apache-2.0
 *
 * Unicode NFC in bounded memory and linear time. utf8proc decomposes and composes; the ordering of combining marks is
 * done here, because utf8proc's takes quadratic time on long runs of them. */
#include <string.h>
#include <utf8proc.h>

#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

/* Below U+0300 every text is in NFC, and nothing composes with what precedes it. */
#define FIRST_MARK 0x300

static uint8_t combining_class(uint32_t c) {
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* True if no text before `c` composes with `c` or is reordered with it. Errs on the side of false. */
static bool is_boundary(int32_t c) {
    if (c < FIRST_MARK) {
        return true;
    }
    if ((c >= 0x1100 && c <= 0x11FF) ||
        c > 0xFFFF) { /* Hangul jamo; the higher planes have vowel signs that are letters */
        return false;
    }
    utf8proc_category_t category = utf8proc_category(c);
    return category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC && category != UTF8PROC_CATEGORY_ME &&
           category != UTF8PROC_CATEGORY_CN;
}

/* Stable sort of n marks by combining class. */
static void order_marks(uint32_t *c, size_t n, uint32_t *spare) {
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            uint32_t mark = c[i];
            uint8_t class = combining_class(mark);
            size_t j = i;
            for (; j > 0 && combining_class(c[j - 1]) > class; j--) {
                c[j] = c[j - 1];
            }
            c[j] = mark;
        }
        return;
    }
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) {
        start[combining_class(c[i]) + 1]++;
    }
    for (size_t i = 1; i < 257; i++) {
        start[i] += start[i - 1];
    }
    for (size_t i = 0; i < n; i++) {
        spare[start[combining_class(c[i])]++] = c[i];
    }
    memcpy(c, spare, n * sizeof *c);
}

static void order(uint32_t *c, size_t n, uint32_t *spare) {
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && combining_class(c[end]) != 0) {
            end++;
        }
        order_marks(c + i, end - i, spare);
        i = end + 1;
    }
}

/* Bytes of the prefix of p[0 .. n) that is in NFC and ends before a character that could change it. */
static size_t plain(const uint8_t *p, size_t n) {
    size_t at = 0, last = 0;
    while (at < n && p[at] < 0xCC) { /* U+0300 is CC 80 */
        last = at;
        at += p[at] < 0x80 ? 1 : 2;
    }
    return at == n ? n : last;
}

/* The first character of p and those up to the next boundary, decomposed into work; the number of code points, 0 if
 * they do not fit. */
static size_t decompose(const uint8_t *p, size_t n, uint32_t *work, size_t room, size_t *used) {
    size_t made = 0, at = 0;
    while (at < n) {
        size_t length;
        int32_t c = mx_utf8_decode(p + at, &length);
        if (at > 0 && is_boundary(c)) {
            break;
        }
        utf8proc_ssize_t k =
            utf8proc_decompose_char(c, (utf8proc_int32_t *)work + made, (utf8proc_ssize_t)(room - made),
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, NULL);
        if (k < 0 || (size_t)k > room - made) {
            return 0;
        }
        made += (size_t)k;
        at += length;
    }
    *used = at;
    return made;
}

bool mx_nfc_part(const uint8_t *p, size_t n, uint8_t *out, size_t max, uint32_t *work, size_t room, size_t *used,
                 size_t *made) {
    *used = *made = plain(p, n);
    if (*used > 0) {
        if (*used > max) {
            *used = *made = plain(p, max); /* ends on a character: what does not fit is left for the next part */
        }
        memcpy(out, p, *made);
        return *used > 0;
    }
    size_t half = room / 2, count = decompose(p, n, work, half, used);
    if (count == 0) {
        return false;
    }
    order(work, count, work + half);
    utf8proc_ssize_t composed =
        utf8proc_normalize_utf32((utf8proc_int32_t *)work, (utf8proc_ssize_t)count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < composed; i++) {
        uint8_t c[4];
        size_t length = mx_utf8_encode((int32_t)work[i], c);
        if (length > max - *made) {
            return false;
        }
        memcpy(out + *made, c, length);
        *made += length;
    }
    return composed > 0;
}
