/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/paths.h"

const char *report_command = "";

int status_of(int code) {
    if (code == MOXIE_OK) {
        return STATUS_OK;
    }
    if (code == MOXIE_ERROR_CANCELLED) {
        return STATUS_INTERRUPTED;
    }
    return code / 100 * 10 + code % 10; // no group has more than ten codes
}

static void begin_line(void) {
    fflush(stdout);
    fprintf(stderr, "moxie%s%s: ", report_command[0] ? " " : "", report_command);
}

static void line(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

static void line(const char *fmt, va_list args) {
    begin_line();
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int report_failure(const struct moxie_failure *failure) {
    return report_failure_in("", failure);
}

int report_failure_in(const char *path, const struct moxie_failure *failure) {
    bool named = !path[0] || strstr(failure->what, path);
    begin_line();
    fprintf(stderr, "%s: %s%s%s", moxie_error_name(failure->code), named ? "" : path, named ? "" : ": ", failure->what);
    if (failure->offset != UINT64_MAX && failure->code / 100 != 4 && failure->code != MOXIE_ERROR_BUFFER_SMALL) {
        fprintf(stderr, " [offset %llu]", (unsigned long long)failure->offset);
    }
    if (failure->cl) {
        fprintf(stderr, " [OpenCL error %d]", failure->cl);
    }
    fputc('\n', stderr);
    char cache[PATH_BYTES];
    if (failure->code == MOXIE_ERROR_COMPILE && !path_writable_driver_cache(cache)) {
        fprintf(stderr, "The driver's cache cannot be written: %s: %s\n", cache, strerror(errno));
    }
    return status_of(failure->code);
}

int report_error(int code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    begin_line();
    fprintf(stderr, "%s: ", moxie_error_name((enum moxie_error)code));
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return status_of(code);
}

int report_tool(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    line(fmt, args);
    va_end(args);
    return STATUS_FAILED;
}

int usage_error(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    line(fmt, args);
    fprintf(stderr, "See: moxie%s%s --help\n", report_command[0] ? " " : "", report_command);
    va_end(args);
    return STATUS_USAGE;
}

void report_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    line(fmt, args);
    va_end(args);
}

int finish_output(int status) {
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return report_tool("standard output: %s", errno ? strerror(errno) : "cannot be written");
    }
    return status;
}

void print_foreign(const char *text, size_t bytes, bool terminal) {
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xa0; // U+0080 … U+009F
        if (terminal && ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c1)) {
            i += c1;
            continue;
        }
        putchar(c);
    }
}
