/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of mx_bundle_open. Each relies on what the earlier ones, in this order, have checked. */
#ifndef MX_BUNDLE_CHECK_H
#define MX_BUNDLE_CHECK_H

#include <stdbool.h>

#include "runtime/bundle.h"

#define MX_BLOCK 512u /* of a tar archive */

/* The header of a member: what libarchive's ustar writer makes of (name, size) with mode 0644 and zero for owner and
 * time. */
void mx_ustar_header(uint8_t header[MX_BLOCK], const char *name, uint64_t size);

/* Is the header at `at` the one of (name, size)? TRUNCATED or FORMAT when not. */
enum moxie_error mx_check_header(const struct mx_bundle *b, uint64_t at, const char *name, uint64_t size,
                                 struct moxie_failure *f);

/* All members, fillers and padding up to the end of the file; every byte that no hash covers. Needs the signed member
 * table; finds the leaves. */
enum moxie_error mx_check_archive(struct mx_bundle *b, struct moxie_failure *f);

enum moxie_error mx_check_model(const struct mx_bundle *b, struct moxie_failure *f);
enum moxie_error mx_check_layers(const struct mx_bundle *b, struct moxie_failure *f);
enum moxie_error mx_check_segments(const struct mx_bundle *b, struct moxie_failure *f);
enum moxie_error mx_check_tensors(const struct mx_bundle *b, struct moxie_failure *f);

/* What is signed. */
void mx_manifest_digest(const struct mx_manifest *m, uint8_t digest[32]);

/* The root of every segment over its leaves. */
enum moxie_error mx_check_roots(const struct mx_bundle *b, struct moxie_failure *f);

/* The bytes of the segments that only the host uses. */
enum moxie_error mx_check_host_segments(const struct mx_bundle *b, struct moxie_failure *f);

static inline bool mx_all_zero(const void *bytes, uint64_t n) {
    const uint8_t *p = bytes;
    for (uint64_t i = 0; i < n; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

static inline uint64_t mx_round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

/* Where something of the mapping is in the file. */
static inline uint64_t mx_offset_of(const struct mx_bundle *b, const void *p) {
    return (uint64_t)((const uint8_t *)p - b->bytes);
}

#endif
