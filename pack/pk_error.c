/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/pk_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* In place; a character cut off by the end of the buffer goes too. */
bool pk_make_printable(char *text, bool cut) {
    size_t length = strlen(text), at = 0;
    bool changed = false;
    while (at < length) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), &c);
        if (n <= 0) {
            changed = true;
            if (cut && length - at < 4) {
                text[at] = '\0';
                break;
            }
            text[at++] = '?';
            continue;
        }
        if (utf8proc_category(c) == UTF8PROC_CATEGORY_CC || utf8proc_category(c) == UTF8PROC_CATEGORY_CF) {
            memset(text + at, '?', (size_t)n);
            changed = true;
        }
        at += (size_t)n;
    }
    return changed;
}

bool pk_fail(struct pk_error *e, int code, const char *fmt, ...) {
    if (!e) {
        return false;
    }
    e->code = code;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
    if (n < 0) {
        e->text[0] = '\0';
        return false;
    }
    pk_make_printable(e->text, (size_t)n >= sizeof(e->text));
    return false;
}

void *pk_fail_memory(struct pk_error *e) {
    pk_fail(e, MOXIE_ERROR_MEMORY, "out of memory");
    return NULL;
}
