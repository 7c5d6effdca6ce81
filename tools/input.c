/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/input.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/interrupt.h"
#include "tools/report.h"

#define INPUT_MAX ((size_t)1 << 30)

static char *read_stream(FILE *f, size_t *bytes) {
    char *text = NULL;
    size_t used = 0, room = 0;
    do {
        if (room - used < 4096) {
            room = room ? 2 * room : 65536;
            char *larger = room <= INPUT_MAX ? realloc(text, room) : NULL;
            if (!larger) {
                free(text);
                errno = EFBIG;
                return NULL;
            }
            text = larger;
        }
        used += fread(text + used, 1, room - used - 1, f);
    } while (!feof(f) && !ferror(f));
    if (ferror(f)) {
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *bytes = used;
    return text;
}

char *input_read(const char *path, size_t *bytes, int *status) {
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    char *text = f ? read_stream(f, bytes) : NULL;
    if (!text && interrupt_pending()) {
        *status = STATUS_INTERRUPTED;
    } else if (!text) {
        *status = report_error(MOXIE_ERROR_FILE, "%s: %s", standard ? "standard input" : path, strerror(errno));
    }
    if (f && !standard) {
        fclose(f);
    }
    return text;
}

static bool is_separator(char c) {
    return c == ' ' || c == ',' || (c >= '\t' && c <= '\r');
}

/* Reads the ids of `text` into `ids`, of which there are at most bytes / 2 + 1. */
static bool scan(const char *path, const char *text, size_t bytes, uint32_t vocab, int32_t *ids, size_t *count,
                 int *status) {
    size_t i = 0;
    for (;;) {
        while (i < bytes && is_separator(text[i])) {
            i++;
        }
        if (i == bytes) {
            return true;
        }
        size_t start = i;
        uint64_t v = 0;
        for (; i < bytes && text[i] >= '0' && text[i] <= '9'; i++) {
            v = v < UINT32_MAX ? v * 10 + (uint64_t)(text[i] - '0') : v;
        }
        if (i == start || (i < bytes && !is_separator(text[i]))) {
            *status = report_error(MOXIE_ERROR_ARGUMENT, "%s: byte %zu: expected a decimal token id", path, start);
            return false;
        }
        if (v >= vocab) {
            *status = report_error(MOXIE_ERROR_TOKEN, "%s: byte %zu: token %zu is %.*s; this vocabulary has %u", path,
                                   start, *count, (int)(i - start < 20 ? i - start : 20), text + start, vocab);
            return false;
        }
        ids[(*count)++] = (int32_t)v;
    }
}

int32_t *input_tokens(const char *path, uint32_t vocab, size_t *count, int *status) {
    size_t bytes;
    char *text = input_read(path, &bytes, status);
    if (!text) {
        return NULL;
    }
    int32_t *ids = malloc((bytes / 2 + 1) * sizeof(*ids));
    *count = 0;
    bool ok = ids && scan(path, text, bytes, vocab, ids, count, status);
    if (!ids) {
        *status = report_tool("out of memory");
    } else if (ok && !*count) {
        *status = report_error(MOXIE_ERROR_ARGUMENT, "%s: there is no token id in it", path);
        ok = false;
    }
    free(text);
    if (!ok) {
        free(ids);
        return NULL;
    }
    return ids;
}
