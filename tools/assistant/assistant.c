/* SPDX-License-Identifier: Apache-2.0
 *
 * An assistant for a home in one binary: a line of English on standard input, a line of JSON on standard output. The
 * model is a signed bundle linked into this program and all memory is static: it opens no file and has no heap of its
 * own. It needs moxie.h, and read, write and clock_gettime of POSIX. */
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/moxie.h"
#include "tools/assistant/text.h"

/* Made by the build: HOST_BYTES, SESSION_BYTES and STEP_BYTES as moxie plan tells them for CONTEXT and STEP_TOKENS;
 * KEY, the bytes of the public key. */
#include "assistant_facts.h"

/* The bundle as read-only data, aligned as moxie_bundle_open_memory asks for. */
__asm__(".section .rodata.bundle, \"a\", %progbits\n"
        ".balign 4096\n"
        ".globl bundle, bundle_bytes\n"
        "bundle: .incbin \"" BUNDLE "\"\n"
        ".balign 8\n"
        "bundle_bytes: .quad bundle_bytes - bundle\n"
        ".previous\n");
extern const char bundle[];
extern const uint64_t bundle_bytes; /* a multiple of 512 */

enum { LINE_BYTES = 512, ANSWER_BYTES = 2048, PIECE_BYTES = 512 };

static _Alignas(4096) unsigned char host[HOST_BYTES], session[SESSION_BYTES], step[STEP_BYTES];
static const struct moxie_region regions[MOXIE_REGIONS] = {
    {host, sizeof host}, {session, sizeof session}, {step, sizeof step}};
static const struct moxie_key key = {{KEY}};

static struct moxie *engine;
static struct moxie_model model;
static struct moxie_failure failure;
static int32_t tokens[CONTEXT];
static int explain;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Output ---- */

/* 0 once the reader has gone. */
static int put(int fd, const char *text, size_t bytes) {
    while (bytes) {
        ssize_t n = write(fd, text, bytes);
        if (n <= 0)
            return 0;
        text += n;
        bytes -= (size_t)n;
    }
    return 1;
}

__attribute__((format(printf, 2, 3))) static int print(int fd, const char *format, ...) {
    static char text[2 * LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return n > 0 && put(fd, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static int put_error(const char *code, const char *what) {
    static char quoted[LINE_BYTES];
    text_quote(what, quoted, sizeof quoted);
    return print(STDOUT_FILENO, "{\"error\":{\"code\":\"%s\",\"what\":%s}}\n", code, quoted);
}

static int put_failure(void) {
    return put_error(moxie_error_name(failure.code), failure.what);
}

/* ---- --explain, on standard error ---- */

static void explain_memory(void) {
    struct moxie_plan plan;
    struct moxie_device_facts facts;
    moxie_engine_plan(engine, &plan, &facts);
    print(STDERR_FILENO,
          "device   %s\nWEIGHTS  %8llu bytes of the bundle in this program (%lu)\n"
          "HOST     %8llu bytes of %lu static ones\nSESSION  %8llu bytes of %lu\nSTEP     %8llu bytes of %lu\n",
          facts.name, (unsigned long long)plan.weight_bytes, (unsigned long)bundle_bytes,
          (unsigned long long)plan.region_bytes[MOXIE_REGION_HOST], (unsigned long)sizeof host,
          (unsigned long long)plan.region_bytes[MOXIE_REGION_SESSION], (unsigned long)sizeof session,
          (unsigned long long)plan.region_bytes[MOXIE_REGION_STEP], (unsigned long)sizeof step);
}

/* One line for each token of the last step: its time, its text, and the experts that each layer took for it. */
static void explain_step(const int32_t *ids, uint32_t count, double spent) {
    for (uint32_t i = 0; i < count; i++) {
        struct moxie_text text = {{0}};
        char piece[PIECE_BYTES], quoted[32];
        size_t n = 0;
        moxie_decode(engine, &text, ids[i], piece, sizeof piece - 1, &n, NULL);
        piece[n] = '\0';
        text_quote(piece, quoted, sizeof quoted);
        print(STDERR_FILENO, "%8.2f ms  %-14s experts", 1e3 * spent / count, quoted);
        for (uint32_t layer = 0; layer < model.layers; layer++) {
            uint32_t taken = 0;
            const int32_t *expert = moxie_experts(engine, i, layer, &taken);
            for (uint32_t k = 0; k < taken; k++)
                print(STDERR_FILENO, "%s%d", k ? "+" : "  ", expert[k]);
        }
        print(STDERR_FILENO, "\n");
    }
}

/* ---- Answering ---- */

static enum moxie_error feed(const int32_t *ids, size_t count) {
    enum moxie_error e = MOXIE_OK;
    for (size_t from = 0; !e && from < count; from += STEP_TOKENS) {
        const uint32_t n = count - from < STEP_TOKENS ? (uint32_t)(count - from) : STEP_TOKENS;
        const double began = seconds();
        e = moxie_prefill(engine, 0, ids + from, n, &failure);
        if (!e && explain)
            explain_step(ids + from, n, seconds() - began);
    }
    return e;
}

static enum moxie_error context_full(const char *what) {
    snprintf(failure.what, sizeof failure.what, "%s", what);
    return failure.code = MOXIE_ERROR_CONTEXT_FULL;
}

static enum moxie_error read_command(const char *command, size_t bytes) {
    size_t count;
    enum moxie_error e = moxie_sequence_truncate(engine, 0, 0, &failure);
    if (!e)
        e = moxie_encode(engine, command, bytes, 0, tokens, CONTEXT, &count, &failure);
    if (e == MOXIE_ERROR_BUFFER_SMALL)
        return context_full("the command does not fit: say less at once");
    return e ? e : feed(tokens, count);
}

/* Lets the model write its answer behind the command. */
static enum moxie_error write_answer(char answer[ANSWER_BYTES], size_t *bytes) {
    struct moxie_sampling sampling = MOXIE_SAMPLING;
    struct moxie_text text = {{0}};
    enum moxie_error e;
    sampling.temperature = -1; /* always the likeliest token */
    for (*bytes = 0;;) {
        int32_t token;
        size_t n = 0;
        e = moxie_sample(engine, 0, &sampling, moxie_sequence_length(engine, 0), &token, &failure);
        if (e || moxie_is_end(engine, token))
            return e;
        if (*bytes + PIECE_BYTES > ANSWER_BYTES || !moxie_sequence_room(engine, 0))
            return context_full("the answer does not fit: say less at once");
        e = moxie_decode(engine, &text, token, answer + *bytes, PIECE_BYTES, &n, &failure);
        *bytes += n;
        if (e || (e = feed(&token, 1)))
            return e;
    }
}

/* One line in, one line out; 0 once the reader has gone. */
static int answer_line(const char *line, size_t bytes) {
    static char command[LINE_BYTES + 2], answer[ANSWER_BYTES];
    size_t count, length;
    const double began = seconds();
    struct text_problem problem = text_prepare(line, bytes, command, &count);
    if (problem.code)
        return put_error(problem.code, problem.what);
    if (read_command(command, count) || write_answer(answer, &length))
        return put_failure();
    if (explain)
        print(STDERR_FILENO, "%8.2f ms  in all, %u tokens\n", 1e3 * (seconds() - began),
              moxie_sequence_length(engine, 0));
    if (!text_is_json_object(answer, length))
        return put_error("not JSON", "the model's answer is not a JSON object");
    answer[length] = '\n';
    return put(STDOUT_FILENO, answer, length + 1);
}

/* Lines of standard input, whatever their length; what is longer than LINE_BYTES is dropped. */
static int answer_all(void) {
    static char chunk[4096], line[LINE_BYTES];
    size_t used = 0;
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] != '\n') {
                if (used < sizeof line)
                    line[used] = chunk[i];
                used += used <= sizeof line;
                continue;
            }
            used -= used && used <= sizeof line && line[used - 1] == '\r';
            if (!(used > sizeof line ? put_error("too long", "the line has more than 512 bytes")
                                     : answer_line(line, used)))
                return 1;
            used = 0;
        }
    return used &&
           !(used > sizeof line ? put_error("too long", "the line has more than 512 bytes") : answer_line(line, used));
}

/* ---- Start ---- */

static enum moxie_error start(struct moxie_bundle *opened) {
    struct moxie_trust trust = MOXIE_TRUST;
    struct moxie_config config = MOXIE_CONFIG;
    trust.keys = 1;
    trust.key = &key;
    config.context = CONTEXT;
    config.step_tokens = STEP_TOKENS;
    config.experts = 1;
    enum moxie_error e = moxie_bundle_open_memory(opened, bundle, (size_t)bundle_bytes, &trust, &failure);
    if (!e)
        moxie_bundle_model(opened, &model);
    return e ? e : moxie_init(&engine, opened, &config, regions, NULL, &failure);
}

int main(int argc, char **argv) {
    static struct moxie_bundle opened;
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--explain") != 0)) {
        print(STDERR_FILENO, "usage: assistant [--explain] < commands, one a line\n");
        return 2;
    }
    explain = argc == 2;
    if (start(&opened)) {
        put_failure();
        return 1;
    }
    if (explain)
        explain_memory();
    if (isatty(STDIN_FILENO))
        print(STDERR_FILENO, "Say what to do at home, a line each; Ctrl-D ends.\n");
    int status = answer_all();
    moxie_close(engine);
    moxie_bundle_close(&opened);
    return status;
}
