/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // unlink, getpid
#include "tools/bench_bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "pack/pack.h"
#include "tools/interrupt.h"
#include "tools/paths.h"
#include "tools/report.h"
#include "tools/signing.h"
#include "tools/synthetic.h"

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "making weights", done, total);
    return interrupt_pending();
}

/* Packs the shape into `path`. */
static int make(uint32_t shape, uint32_t group, const char *path, const struct pk_key *key) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct progress progress = {.bytes = true};
    struct pk_pack_options options = {.output = path, .key = key, .weights = PK_WEIGHTS_KEEP};
    struct pk_source *source = synthetic_open(shape, group, &e);
    bool ok = source && pk_pack_source(source, &options, on_progress, &progress, &summary, &e);
    progress_end(&progress);
    pk_source_close(source);
    return ok ? STATUS_OK : report_error(e.code, "%s", e.text);
}

/* Is there room for `bytes` and as much again? */
static bool has_room(const char *folder, uint64_t bytes) {
    struct statvfs st;
    return statvfs(folder, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize / 2 > bytes;
}

/* A file name that no other run uses: in memory where there is room, else in the cache folder. */
static int temporary_path(char path[PATH_BYTES], uint64_t bytes) {
    char name[64], folder[PATH_BYTES] = "/dev/shm";
    snprintf(name, sizeof(name), "moxie-bench-%ld", (long)getpid());
    bool ok = has_room(folder, bytes) || (path_cache(folder, "bench") && path_make_folder(folder));
    return ok && path_join(path, folder, name) ? STATUS_OK
                                               : report_tool("there is no cache folder: %s", strerror(errno));
}

int bench_bundle_open(struct engine *engine, uint32_t shape, uint32_t group, const char *keep) {
    struct pk_error e = {0};
    char path[PATH_BYTES];
    struct pk_key key = {{0}, {0}};
    int status = keep ? signing_key_read(&key, NULL) : temporary_path(path, synthetic_bytes(shape));
    if (status == STATUS_OK && !keep && !pk_key_generate(&key, &e)) {
        status = report_error(e.code, "%s", e.text);
    }
    if (status == STATUS_OK) {
        status = make(shape, group, keep ? keep : path, &key);
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
