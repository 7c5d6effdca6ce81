/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: one GGUF file as a whole source, its vocabulary too; rows of every tensor are read. */
#include <stdlib.h>

#include "pack/source.h"
#include "pack/tokenizer.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct pk_file f = fuzz_file(data, n);
    struct pk_error e = {0};
    struct pk_source *s = pk_source_open(f.path, &e);
    if (!s) {
        return e.code == MOXIE_OK || !e.text[0] ? (abort(), 0) : 0;
    }
    void *blob = NULL;
    size_t bytes = 0;
    pk_source_check(s, &e);
    pk_tokenizer_from_source(s, &blob, &bytes, &e);
    free(blob);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct pk_tensor *t = &s->tensors[i];
        uint8_t *row = malloc(t->row_bytes);
        float *values = malloc(t->cols * sizeof(float));
        for (uint64_t r = 0; row && values && r < t->rows; r += 1 + t->rows / 8) {
            if (pk_source_read_rows(s, t, r, 1, row, &e)) {
                pk_row_to_f32(t->type, row, t->cols, values);
                pk_check_finite(s, t, r, values, &e);
            } else if (t->head_rows == 0) {
                abort(); // the bytes were checked when the file was opened
            }
        }
        free(row);
        free(values);
    }
    pk_source_close(s);
    return 0;
}
