/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: an Int4 folder. The input is a line of JSON, which becomes quantize_config.json, and a safetensors file;
 * every row of every tensor is read. */
#define _GNU_SOURCE // mkdtemp
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/source.h"

static const char config[] = "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_hidden_layers\":1,\"vocab_size\":8,"
                             "\"num_attention_heads\":2,\"intermediate_size\":32,\"max_position_embeddings\":64}";

static void write_file(const char *folder, const char *name, const void *data, size_t n) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
}

static void read_all(const struct pk_source *s) {
    struct pk_error e = {0};
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct pk_tensor *t = &s->tensors[i];
        uint8_t *row = malloc(t->row_bytes + 1);
        float *values = malloc((t->cols + 1) * sizeof(float));
        for (uint64_t r = 0; row && values && r < t->rows; r += 1 + t->rows / 8) {
            if (!pk_source_read_rows(s, t, r, 1, row, &e)) {
                abort(); // the bytes were checked when the file was opened
            }
            pk_row_to_f32(t->type, row, t->cols, values);
        }
        free(row);
        free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static char folder[64];
    if (!folder[0]) {
        snprintf(folder, sizeof(folder), "/tmp/moxie-fuzz-XXXXXX");
        if (!mkdtemp(folder)) {
            abort();
        }
        write_file(folder, "config.json", config, sizeof(config) - 1);
    }
    const uint8_t *end = n ? memchr(data, '\n', n) : NULL;
    const size_t line = end ? (size_t)(end - data) : n, rest = end ? line + 1 : n;
    write_file(folder, "quantize_config.json", data, line);
    write_file(folder, "model.safetensors", data + rest, n - rest);
    struct pk_error e = {0};
    struct pk_source *s = pk_source_open(folder, &e);
    if (!s) {
        return e.code == MOXIE_OK || !e.text[0] ? (abort(), 0) : 0;
    }
    read_all(s);
    pk_source_check(s, &e);
    pk_source_close(s);
    return 0;
}
