/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // unlink
#include "tools/bench_bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/pack.h"
#include "tools/interrupt.h"
#include "tools/paths.h"
#include "tools/report.h"
#include "tools/signing.h"
#include "tools/synthetic.h"
#include "tools/synthetic_gguf.h"

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "making weights", done, total);
    return interrupt_pending();
}

/* Packs the shape into `path`. */
static int make(uint32_t shape, uint32_t group, uint32_t kv_type, const char *path, const char *gguf,
                const struct pk_key *key) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct progress progress = {.bytes = true};
    struct pk_pack_options options = {.output = path, .key = key, .weights = PK_WEIGHTS_KEEP, .kv_type = kv_type};
    struct pk_source *source = synthetic_open(shape, group, &e);
    bool ok = source && (!gguf || synthetic_gguf(source, gguf, &e)) &&
              pk_pack_source(source, &options, on_progress, &progress, &summary, &e);
    progress_end(&progress);
    pk_source_close(source);
    return ok ? STATUS_OK : report_error(e.code, "%s", e.text);
}

int bench_bundle_open(struct engine *engine, uint32_t shape, uint32_t group, uint32_t kv_type, const char *keep,
                      const char *gguf) {
    struct pk_error e = {0};
    char path[PATH_BYTES];
    struct pk_key key = {{0}, {0}};
    int status = STATUS_OK;
    if (keep) {
        status = signing_key_read(&key, NULL);
    } else if (!path_scratch(path, "bench", synthetic_bytes(shape))) {
        status = report_tool("there is no cache folder: %s", strerror(errno));
    }
    if (status == STATUS_OK && !keep && !pk_key_generate(&key, &e)) {
        status = report_error(e.code, "%s", e.text);
    }
    if (status == STATUS_OK) {
        status = make(shape, group, kv_type, keep ? keep : path, gguf, &key);
    }
    if (status == STATUS_OK) {
        status = engine_open_signed(engine, keep ? keep : path, key.xy);
        if (!keep) {
            unlink(path); // the mapping keeps the bytes
        }
    }
    pk_key_wipe(&key);
    return status;
}
