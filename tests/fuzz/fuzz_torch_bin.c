/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: a whole .bin file. The tensors that are found lie in the file. */
#include <stdlib.h>

#include "pack/torch_bin.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct pk_file f = fuzz_file(data, n);
    struct pk_safetensors found;
    struct pk_error e = {0};
    const bool ok = pk_torch_bin_read(&found, &f, &e);
    for (size_t i = 0; ok && i < found.n_tensors; i++) {
        if (found.tensors[i].offset > n || found.tensors[i].bytes > n - found.tensors[i].offset) {
            abort();
        }
    }
    if (!ok && (e.code == MOXIE_OK || !e.text[0])) {
        abort();
    }
    pk_safetensors_free(&found);
    return 0;
}
