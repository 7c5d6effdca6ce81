/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/signing.h"

#include <stddef.h>

#include "pack/keys.h"
#include "tools/report.h"

int signing_key_read(struct pk_key *key, const char *path) {
    struct pk_error e = {0};
    bool missing = false;
    if (path ? pk_key_read_private(key, path, &e) : pk_keys_private(PK_KEY_DEFAULT, key, &missing, &e)) {
        return STATUS_OK;
    }
    return report_error(e.code, "%s%s", e.text, missing ? "; moxie keygen makes a key, --key names another" : "");
}
