/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: the pickle of a .bin file. What is accepted keeps the promises of pack/pickle.h. */
#include <stdlib.h>
#include <string.h>

#include "pack/pickle.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct pk_pickle p;
    struct pk_error e = {0};
    const bool ok = pk_pickle_read(&p, data, n, "fuzz", &e);
    for (size_t i = 0; ok && i < p.n_tensors; i++) {
        const struct pk_pickle_tensor *t = &p.tensors[i];
        if (!t->name[0] || strlen(t->name) > 255 || !t->storage[0] || t->n_dims > PK_MAX_DIMS || !t->element_bytes) {
            abort();
        }
    }
    if (!ok && (e.code == MOXIE_OK || !e.text[0])) {
        abort();
    }
    pk_pickle_free(&p);
    return 0;
}
