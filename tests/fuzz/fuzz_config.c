/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: config.json. What is accepted keeps the promises of pack/source.h about numbers. */
#define _GNU_SOURCE // mkdtemp
#include <stdio.h>
#include <stdlib.h>

#include "pack/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static char folder[64], path[96];
    if (!folder[0]) {
        snprintf(folder, sizeof(folder), "/tmp/moxie-fuzz-XXXXXX");
        if (!mkdtemp(folder)) {
            abort();
        }
        snprintf(path, sizeof(path), "%s/config.json", folder);
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
    struct pk_error e = {0};
    struct pk_source s = {.path = folder, .folder = pk_folder_open(folder, &e)};
    struct pk_quant quant;
    if (pk_hf_read_config(&s, &quant, &e)) {
        const struct mx_model *m = &s.model;
        if (!m->hidden || !m->layers || !m->kv_heads || m->heads % m->kv_heads || m->head_dim % 2 || !m->vocab ||
            m->head_dim > 256 || m->eos_count > 8 || !(m->rope_theta >= 1) || !(m->rms_eps > 0)) {
            abort();
        }
        for (uint32_t l = 0; l < m->layers; l++) {
            const struct mx_layer *y = &s.layers[l];
            if (!y->width || y->top_k > y->routed || y->top_k > 16 || y->routed > 1024 ||
                (!y->routed && y->shared != 1)) {
                abort();
            }
        }
    } else if (e.code == MOXIE_OK || !e.text[0]) {
        abort();
    }
    pk_quant_free(&quant);
    pk_folder_close(s.folder);
    free(s.layers);
    return 0;
}
