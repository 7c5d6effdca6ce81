/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trust.h"

#include <stdlib.h>
#include <string.h>

#include "pack/keys.h"
#include "tools/report.h"

static int take(struct trust *trust, const uint8_t (*xy)[64], size_t n) {
    *trust = (struct trust){.library = MOXIE_TRUST, .keys = malloc(n * sizeof(*trust->keys))};
    if (!trust->keys) {
        return report_tool("out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(trust->keys[i].xy, xy[i], sizeof(xy[i]));
    }
    trust->library.keys = (uint32_t)n;
    trust->library.key = trust->keys;
    return STATUS_OK;
}

int trust_key(struct trust *trust, const uint8_t xy[64]) {
    return take(trust, (const uint8_t(*)[64])xy, 1);
}

int trust_open(struct trust *trust, const char *pub) {
    struct pk_error e = {0};
    uint8_t one[64], (*list)[64];
    size_t n = 0;
    *trust = (struct trust){.library = MOXIE_TRUST};
    if (pub) {
        return pk_key_read_public(one, pub, &e) ? trust_key(trust, one) : report_error(e.code, "%s", e.text);
    }
    if (!pk_keys_public(&list, &n, &e)) {
        return report_error(e.code, "%s", e.text);
    }
    int status = n ? take(trust, (const uint8_t(*)[64])list, n)
                   : report_error(MOXIE_ERROR_KEY_UNKNOWN,
                                  "the key store is empty: moxie keygen makes a key, --pub FILE names one to trust");
    free(list);
    return status;
}

void trust_close(struct trust *trust) {
    free(trust->keys);
    *trust = (struct trust){.library = MOXIE_TRUST};
}
