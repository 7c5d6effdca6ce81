/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: the files of a tokenizer. The first byte says which: 'j' tokenizer.json, 'm' tokenizer.model, 't'
 * qwen.tiktoken, 'v' vocab.json and, behind a NUL, merges.txt; behind another NUL tokenizer_config.json. What is
 * accepted compiles, or is refused with a reason. */
#define _GNU_SOURCE // mkdtemp
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/tokenizer.h"

static char folder[64];

/* NULL: no such file. */
static void put(const char *name, const uint8_t *data, size_t n) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
    FILE *f = data ? fopen(path, "wb") : NULL;
    if (data && (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)) {
        abort();
    }
}

/* The bytes up to the next NUL, which stays behind. NULL: there are none. */
static const uint8_t *piece(const uint8_t **at, const uint8_t *end, size_t *n) {
    const uint8_t *start = *at, *stop = start < end ? memchr(start, 0, (size_t)(end - start)) : NULL;
    *n = (size_t)((stop ? stop : end) - start);
    *at = stop ? stop + 1 : end;
    return start < end ? start : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const all[] = {"tokenizer.json", "tokenizer.model", "qwen.tiktoken", "vocab.json"};
    if (!folder[0]) {
        snprintf(folder, sizeof(folder), "/tmp/moxie-fuzz-XXXXXX");
        if (!mkdtemp(folder)) {
            abort();
        }
    }
    const char *kind = n ? strchr("jmtv", data[0]) : NULL;
    if (!kind || !*kind) {
        return -1;
    }
    const uint8_t *at = data + 1, *end = data + n, *text = at;
    size_t bytes = n - 1;
    if (*kind != 'm') { // a SentencePiece model is binary, and whole
        text = piece(&at, end, &bytes);
    }
    for (size_t i = 0; i < 4; i++) {
        put(all[i], "jmtv"[i] == *kind ? text ? text : end : NULL, text ? bytes : 0);
    }
    text = *kind == 'v' ? piece(&at, end, &bytes) : NULL;
    put("merges.txt", text, bytes);
    text = *kind == 'm' ? NULL : piece(&at, end, &bytes);
    put("tokenizer_config.json", text, bytes);

    struct pk_vocab v = {0};
    struct pk_error e = {0};
    void *blob = NULL;
    size_t size = 0;
    bool ok = pk_tokenizer_from_hf(folder, &v, &e) && (!v.n_tokens || pk_tokenizer_compile(&v, &blob, &size, &e));
    if (!ok && (e.code == MOXIE_OK || !e.text[0])) {
        abort();
    }
    free(blob);
    pk_vocab_free(&v);
    return 0;
}
