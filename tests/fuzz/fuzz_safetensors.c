/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: one safetensors header. What is accepted must lie in the file. */
#include <stdlib.h>

#include "pack/safetensors.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct pk_file f = fuzz_file(data, n);
    struct pk_safetensors st;
    struct pk_error e = {0};
    if (pk_safetensors_read(&st, &f, &e)) {
        for (size_t i = 0; i < st.n_tensors; i++) {
            if (st.tensors[i].offset > n || st.tensors[i].bytes > n - st.tensors[i].offset) {
                abort();
            }
        }
        pk_safetensors_free(&st);
    } else if (e.code == MOXIE_OK || !e.text[0]) {
        abort();
    }
    return 0;
}
