/* SPDX-License-Identifier: Apache-2.0
 *
 * platform.h for systems without files and virtual memory: the caller gives the bundle's bytes and every region. Also
 * the starting point of a new port: replace what the system does have. */
#include "platform/platform.h"

#include "platform/fail.h"

static enum moxie_error no_files(struct moxie_failure *f) {
    return mx_fail(f, MOXIE_ERROR_FILE, MX_NO_OFFSET, "this build has no file access: give the bundle's bytes instead");
}

enum moxie_error mx_map_file(const char *path, struct mx_mapping *m, struct moxie_failure *f) {
    (void)path;
    *m = (struct mx_mapping){0};
    return no_files(f);
}

void mx_unmap_file(struct mx_mapping *m) {
    *m = (struct mx_mapping){0};
}

enum moxie_error mx_region_map(uint64_t bytes, void **region, struct moxie_failure *f) {
    *region = NULL;
    return mx_fail(f, MOXIE_ERROR_MAP, MX_NO_OFFSET, "this build maps no memory: give a region of %llu bytes",
                   (unsigned long long)bytes);
}

void mx_region_unmap(void *region, uint64_t bytes) {
    (void)region;
    (void)bytes;
}

void mx_pause(void) {
}
