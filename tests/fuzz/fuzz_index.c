/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: model.safetensors.index.json beside a shard and a configuration that are right. Run in the root of the
 * repository. */
#define _GNU_SOURCE // mkdtemp
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pack/source.h"

#define REFERENCE "tests/data/reference/llama/"

static char folder[64];

static void path_of(const char *name, char path[static 128]) {
    snprintf(path, 128, "%s/%s", folder, name);
}

static void share(const char *from, const char *name) {
    char path[128], *whole = realpath(from, NULL);
    path_of(name, path);
    if (!whole || symlink(whole, path) != 0) {
        abort();
    }
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char path[128];
    if (!folder[0]) {
        snprintf(folder, sizeof(folder), "/tmp/moxie-fuzz-XXXXXX");
        if (!mkdtemp(folder)) {
            abort();
        }
        share(REFERENCE "config.json", "config.json");
        share(REFERENCE "model.safetensors", "a.safetensors");
    }
    path_of("model.safetensors.index.json", path);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
    struct pk_error e = {0};
    struct pk_source *s = pk_source_open(folder, &e);
    if ((!s || !pk_source_check(s, &e)) && (e.code == MOXIE_OK || !e.text[0])) {
        abort();
    }
    pk_source_close(s);
    return 0;
}
