/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: a tar or zip archive, everything unpacked that is compressed. Members lie in the archive or in the
 * temporary file, and none has a name that leads elsewhere. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pack/archive.h"
#include "tests/fuzz/fuzz_file.h"

static bool everything(const char *name) {
    (void)name;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static bool limited;
    if (!limited) { // what unpacks to more is an error like a full disk
        const struct rlimit most = {32u << 20, 32u << 20};
        signal(SIGXFSZ, SIG_IGN);
        limited = setrlimit(RLIMIT_FSIZE, &most) == 0;
    }
    struct pk_file f = fuzz_file(data, n), member;
    struct pk_archive a;
    struct pk_error e = {0};
    const bool ok = pk_archive_read(&a, &f, everything, &e);
    for (size_t i = 0; ok && i < a.n_members; i++) {
        const struct pk_member *m = &a.members[i];
        uint8_t last;
        if (m->name[0] == '/' || strncmp(m->name, "../", 3) == 0 || strstr(m->name, "/../")) {
            abort();
        }
        if (pk_archive_open(&a, &f, m, m->name, &member, &e)) {
            if (m->bytes && !pk_file_read(&member, m->bytes - 1, &last, 1, &e)) {
                abort();
            }
            pk_file_close(&member);
        } else if (m->kind == PK_MEMBER_STORED || m->kind == PK_MEMBER_UNPACKED) {
            abort();
        }
    }
    if (!ok && (e.code == MOXIE_OK || !e.text[0])) {
        abort();
    }
    pk_archive_free(&a);
    return 0;
}
