/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/digest.h"

#include <stdio.h>
#include <string.h>

void digest_begin(struct digest *d) {
    mbedtls_sha256_init(&d->sha);
    mbedtls_sha256_starts_ret(&d->sha, 0);
}

void digest_add(struct digest *d, const void *bytes, size_t n) {
    mbedtls_sha256_update_ret(&d->sha, bytes, n);
}

void digest_row(struct digest *d, const float *row, uint32_t n) {
    uint8_t bytes[4096];
    for (uint32_t i = 0; i < n;) {
        size_t used = 0;
        for (; used < sizeof(bytes) && i < n; used += 4, i++) {
            uint32_t v;
            memcpy(&v, &row[i], 4);
            for (unsigned k = 0; k < 4; k++) {
                bytes[used + k] = (uint8_t)(v >> (8 * k));
            }
        }
        digest_add(d, bytes, used);
    }
}

void digest_end(struct digest *d, char hex[65]) {
    uint8_t sum[32];
    mbedtls_sha256_finish_ret(&d->sha, sum);
    mbedtls_sha256_free(&d->sha);
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    }
}

void digest_now(const struct digest *d, char hex[65]) {
    struct digest copy;
    mbedtls_sha256_init(&copy.sha);
    mbedtls_sha256_clone(&copy.sha, &d->sha);
    digest_end(&copy, hex);
}

bool digest_file(const char *path, char hex[65]) {
    uint8_t bytes[16384];
    struct digest d;
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    digest_begin(&d);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;) {
        digest_add(&d, bytes, n);
    }
    bool ok = !ferror(f);
    fclose(f);
    digest_end(&d, hex);
    return ok;
}
