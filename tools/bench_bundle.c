/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // close
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

const char *const bench_groups[] = {"32", "64", "128", NULL};
const char *const bench_kv[] = {"auto", "f16", "f32", "int8", NULL};

int bench_shape_check(const struct bench_shape *shape, const char *bundle) {
    if (!bundle == (shape->shape == UINT32_MAX)) {
        return usage_error("give a BUNDLE or --shape, one of the two");
    }
    if (bundle && (shape->group_choice || shape->kv_type)) {
        return usage_error("--group and --kv are for --shape: a BUNDLE has its own");
    }
    if (bundle && (shape->keep || shape->gguf)) {
        return usage_error("--keep and --keep-gguf are for --shape: a BUNDLE is there");
    }
    if (shape->keep && shape->gguf && strcmp(shape->keep, shape->gguf) == 0) {
        return usage_error("--keep and --keep-gguf name the same file");
    }
    return STATUS_OK;
}

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "making weights", done, total);
    return interrupt_pending();
}

/* Packs the shape into `path`. */
static int make(const struct bench_shape *shape, const char *path, const struct pk_key *key) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct progress progress = {.bytes = true};
    struct pk_pack_options options = {
        .output = path, .key = key, .weights = PK_WEIGHTS_KEEP, .kv_type = shape->kv_type, .hollow = shape->hollow};
    struct pk_source *source = synthetic_open(shape->shape, 32u << shape->group_choice, &e);
    bool ok = source && (!shape->gguf || synthetic_gguf(source, shape->gguf, &e)) &&
              pk_pack_source(source, &options, on_progress, &progress, &summary, &e);
    progress_end(&progress);
    pk_source_close(source);
    return ok ? STATUS_OK : report_error(e.code, "%s", e.text);
}

int bench_bundle_open(struct engine *engine, const struct bench_shape *shape) {
    struct pk_error e = {0};
    char path[PATH_BYTES];
    struct pk_key key = {{0}, {0}};
    int status = STATUS_OK, scratch = -1;
    if (shape->keep) {
        status = signing_key_read(&key, NULL);
    } else if ((scratch = path_scratch(path, "bench", shape->hollow ? 1 << 20 : synthetic_bytes(shape->shape))) < 0) {
        status = report_tool("there is no cache folder: %s", strerror(errno));
    }
    if (status == STATUS_OK && !shape->keep && !pk_key_generate(&key, &e)) {
        status = report_error(e.code, "%s", e.text);
    }
    if (status == STATUS_OK) {
        status = make(shape, shape->keep ? shape->keep : path, &key);
    }
    if (status == STATUS_OK) {
        status = engine_open_signed(engine, shape->keep ? shape->keep : path, key.xy);
    }
    if (scratch >= 0) {
        close(scratch); // the mapping keeps the bytes
    }
    pk_key_wipe(&key);
    return status;
}
