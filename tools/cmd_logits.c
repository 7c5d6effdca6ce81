/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie logits: the logits at every position, as a NumPy array. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/digest.h"
#include "tools/engine.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/paths.h"
#include "tools/report.h"

#define DEFAULT_CHUNK 128 /* more costs memory for logits and gains little */

struct logits {
    struct engine engine;
    const char *tokens_path, *out_path;
    int32_t *tokens;
    size_t count;
    uint32_t chunk, batch;
    struct moxie_entry *entries; /* (batch * chunk) */
    struct out_file out;
    struct digest digest;
};

/* NumPy format 1.0: magic, version, length of the header; the header ends at a multiple of 64 bytes. */
static bool write_header(FILE *f, size_t rows, uint32_t cols) {
    char text[128];
    int n = snprintf(text, sizeof(text), "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %u), }", rows, cols);
    const unsigned total = 128; // 10 bytes before the text, which has at most 90
    const unsigned length = total - 10;
    const unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, length & 255, length >> 8};
    return fwrite(start, 1, 10, f) == 10 && fprintf(f, "%s%*s\n", text, (int)length - n - 1, "") == (int)length;
}

/* Sequence 0 is the one that is asked about; the others read tokens of their own beside it. */
static int32_t token_of(const struct logits *l, uint32_t sequence, size_t position) {
    return sequence == 0 ? l->tokens[position]
                         : (int32_t)((l->tokens[position] + position * 7 + sequence * 13) % l->engine.model.vocab);
}

/* The entries of the step that begins at `position`: the other sequences first and last, sequence 0 between them. */
static uint32_t fill_step(struct logits *l, size_t position, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 1; i <= l->batch; i++) {
        uint32_t sequence = (i + l->batch / 2) % l->batch;
        for (uint32_t k = 0; k < n; k++) {
            l->entries[count++] = (struct moxie_entry){.sequence = sequence,
                                                       .position = (uint32_t)position + k,
                                                       .token = token_of(l, sequence, position + k),
                                                       .want_logits = sequence == 0};
        }
    }
    return count;
}

/* The library's floats are the machine's; the file's are little-endian. */
static bool write_row(struct logits *l, const float *row) {
    uint8_t bytes[4096];
    for (uint32_t i = 0; i < l->engine.model.vocab;) {
        size_t n = 0;
        for (; n < sizeof(bytes) && i < l->engine.model.vocab; n += 4, i++) {
            uint32_t v;
            memcpy(&v, &row[i], 4);
            for (unsigned k = 0; k < 4; k++) {
                bytes[n + k] = (uint8_t)(v >> (8 * k));
            }
        }
        if (fwrite(bytes, 1, n, l->out.file) != n) {
            return false;
        }
    }
    digest_row(&l->digest, row, l->engine.model.vocab);
    return true;
}

static int compute(struct logits *l) {
    struct moxie_failure failure = {0};
    for (size_t at = 0; at < l->count;) {
        uint32_t n = l->count - at < l->chunk ? (uint32_t)(l->count - at) : l->chunk;
        if (moxie_step(l->engine.moxie, l->entries, fill_step(l, at, n), &failure) != MOXIE_OK) {
            return report_failure(&failure);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (!write_row(l, moxie_logits(l->engine.moxie, i))) {
                return report_tool("%s: %s", l->out_path, strerror(errno));
            }
        }
        at += n;
        progress_update(&l->engine.progress, "logits", at, l->count);
        if (interrupt_pending()) {
            return STATUS_INTERRUPTED;
        }
    }
    return STATUS_OK;
}

static int write_file(struct logits *l) {
    if (!out_file_open(&l->out, l->out_path)) {
        return report_tool("%s: %s", l->out_path, strerror(errno));
    }
    int status = write_header(l->out.file, l->count, l->engine.model.vocab)
                     ? compute(l)
                     : report_tool("%s: %s", l->out_path, strerror(errno));
    progress_end(&l->engine.progress);
    if (status != STATUS_OK) {
        out_file_discard(&l->out);
        return status;
    }
    char hex[65];
    digest_end(&l->digest, hex);
    if (!out_file_commit(&l->out)) {
        return report_tool("%s: %s", l->out_path, strerror(errno));
    }
    printf("%s: %zu x %u, SHA-256 of the data %s\n", l->out_path, l->count, l->engine.model.vocab, hex);
    return finish_output(STATUS_OK);
}

/* The bundle is opened first for what the tokens are checked against; the engine needs their number. */
static int logits(struct logits *l, const struct engine_options *options) {
    int status = engine_open_bundle(&l->engine, options->bundle, options->pub);
    if (status != STATUS_OK) {
        return status;
    }
    l->tokens = input_tokens(l->tokens_path, l->engine.model.vocab, &l->count, &status);
    if (!l->tokens) {
        return status;
    }
    uint32_t context = options->context ? options->context : l->engine.model.max_positions;
    if (l->count > context) {
        return report_error(MOXIE_ERROR_CONTEXT_FULL, "%s: %zu tokens, but a sequence has at most %u", l->tokens_path,
                            l->count, context);
    }
    l->chunk = l->count < l->chunk ? (uint32_t)l->count : l->chunk;
    struct moxie_config config = MOXIE_CONFIG;
    config.context = options->context ? options->context : (uint32_t)l->count;
    config.sequences = l->batch;
    config.step_tokens = l->chunk * l->batch;
    config.step_logits = l->chunk;
    status = engine_start(&l->engine, options, &config);
    if (status != STATUS_OK) {
        return status;
    }
    l->entries = malloc(sizeof(*l->entries) * config.step_tokens);
    return l->entries ? write_file(l) : report_tool("out of memory");
}

int cmd_logits(int argc, char **argv) {
    struct logits l = {.chunk = DEFAULT_CHUNK, .batch = 1};
    struct engine_options options = {0};
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE, .out = &options.bundle, .help = "a file made by moxie pack"},
        {"--tokens", .kind = ARG_TEXT, .out = &l.tokens_path, .value = "FILE", .required = true,
         .help = "decimal ids separated by white space or commas; - is standard input"},
        {"--out", .alias = "-o", .kind = ARG_TEXT, .out = &l.out_path, .value = "OUT.npy", .required = true,
         .help = "float32 [tokens, vocabulary], NumPy format 1.0"},
        {"--chunk", .kind = ARG_U32, .out = &l.chunk, .value = "N", .min = 1, .max = 1u << 20,
         .help = "tokens in one step (default 128)"},
        {"--batch", .kind = ARG_U32, .out = &l.batch, .value = "N", .min = 1, .max = 256,
         .help = "run N - 1 other sequences beside it (default 1)"},
        {.kind = ARG_END},
    };
    struct engine_args shared = engine_args(&options);
    const struct args args = {
        .summary = "Writes the logits at every position, and prints the SHA-256 of the data.",
        .details =
            "The bits depend on the bundle and the tokens alone: not on the device, --chunk, --batch or --threads.",
        .example = "    echo 504 3575 282 4649 314 | moxie logits smollm2.moxie --tokens - -o logits.npy",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (l.out_path && (path_same(l.out_path, options.bundle) || path_same(l.out_path, l.tokens_path))) {
        return usage_error("-o %s is the bundle or the tokens", l.out_path);
    }
    interrupt_install();
    digest_begin(&l.digest);
    status = logits(&l, &options);
    engine_close(&l.engine);
    free(l.entries);
    free(l.tokens);
    return status;
}
