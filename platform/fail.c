/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/fail.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    char *at;
    size_t used;
    size_t room; /* bytes that may still be written, the final NUL not counted */
    bool full;   /* something was cut: nothing more is appended, so that the text is a prefix */
};

static void put(struct text *t, const char *bytes, size_t n) {
    if (t->full || n > t->room) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->used, bytes, n);
    t->used += n;
    t->room -= n;
}

/* Length of the well-formed UTF-8 character at `s` (at most `n` bytes are read), 0 when there is none. Overlong forms,
 * surrogates and values above U+10FFFF are refused (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n) {
    if (s[0] < 0x80) {
        return 1;
    }
    size_t need = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || n < need) {
        return 0;
    }
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return need;
}

static void put_string(struct text *t, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length((const unsigned char *)s + i, n - i);
        unsigned char first = (unsigned char)s[i];
        /* U+0080…U+009F are control characters too */
        bool control = (length == 1 && (first < 0x20 || first == 0x7F)) ||
                       (length == 2 && first == 0xC2 && (unsigned char)s[i + 1] < 0xA0);
        if (length == 0 || control) {
            put(t, "?", 1);
        } else {
            put(t, s + i, length);
        }
        i += length ? length : 1;
    }
}

static void put_number(struct text *t, unsigned long long value, unsigned base, bool negative) {
    char digits[1 + sizeof value * CHAR_BIT];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative) {
        digits[--at] = '-';
    }
    put(t, digits + at, sizeof digits - at);
}

enum width { INT, LONG, LONG_LONG, SIZE };

static void put_integer(struct text *t, char conversion, enum width width, va_list *args) {
    if (conversion == 'd') {
        long long v = width == INT    ? va_arg(*args, int)
                      : width == LONG ? va_arg(*args, long)
                      : width == SIZE ? va_arg(*args, ptrdiff_t)
                                      : va_arg(*args, long long);
        put_number(t, v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v, 10, v < 0);
        return;
    }
    unsigned long long v = width == INT    ? va_arg(*args, unsigned)
                           : width == LONG ? va_arg(*args, unsigned long)
                           : width == SIZE ? va_arg(*args, size_t)
                                           : va_arg(*args, unsigned long long);
    put_number(t, v, conversion == 'x' ? 16 : 10, false);
}

/* One conversion; `p` stands behind the '%'. Returns the place behind it, NULL when it is not one we know: its argument
 * cannot be skipped then, so the text ends there. */
static const char *put_conversion(struct text *t, const char *p, va_list *args) {
    enum width width = INT;
    size_t most = SIZE_MAX;
    if (p[0] == '.' && p[1] == '*' && p[2] == 's') {
        int given = va_arg(*args, int);
        most = given < 0 ? 0 : (size_t)given;
        p += 2;
    } else if (p[0] == 'l' && p[1] == 'l') {
        width = LONG_LONG;
        p += 2;
    } else if (p[0] == 'l') {
        width = LONG;
        p++;
    } else if (p[0] == 'z') {
        width = SIZE;
        p++;
    }
    if (*p == 's') {
        const char *s = va_arg(*args, const char *);
        s = s ? s : "(null)";
        size_t n = 0;
        while (n < most && s[n]) { /* strnlen is not C11 */
            n++;
        }
        put_string(t, s, n);
    } else if (*p == 'c') {
        char c[2] = {(char)va_arg(*args, int)};
        put_string(t, c, 1);
    } else if (*p == '%') {
        put(t, "%", 1);
    } else if (*p == 'd' || *p == 'u' || *p == 'x') {
        put_integer(t, *p, width, args);
    } else {
        return NULL;
    }
    return p + 1;
}

static void fill(struct moxie_failure *f, enum moxie_error code, int32_t cl, uint64_t offset, const char *fmt,
                 va_list *args) {
    f->code = code;
    f->cl = cl;
    f->offset = offset;
    struct text t = {.at = f->what, .room = sizeof f->what - 1};
    const char *p = fmt;
    while (p && *p && !t.full) {
        size_t n = strcspn(p, "%");
        if (n > 0) {
            put_string(&t, p, n);
            p += n;
        } else {
            p = put_conversion(&t, p + 1, args);
        }
    }
    f->what[t.used] = '\0';
}

enum moxie_error mx_fail(struct moxie_failure *f, enum moxie_error code, uint64_t offset, const char *fmt, ...) {
    if (f) {
        va_list args;
        va_start(args, fmt);
        fill(f, code, 0, offset, fmt, &args);
        va_end(args);
    }
    return code;
}

enum moxie_error mx_fail_cl(struct moxie_failure *f, enum moxie_error code, int32_t cl, const char *fmt, ...) {
    if (f) {
        va_list args;
        va_start(args, fmt);
        fill(f, code, cl, MX_NO_OFFSET, fmt, &args);
        va_end(args);
    }
    return code;
}
