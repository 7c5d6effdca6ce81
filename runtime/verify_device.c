/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/engine.h"

#define BATCH_MAX 8192u /* leaves hashed by one launch */

/* The leaves of one window, in batches: {place in the window / 4096, bytes} go in, digests come out. */
struct batch {
    struct moxie *engine;
    struct mx_launch launch;
    cl_mem leaves, digests;
    uint32_t capacity, filled;
    uint32_t first_leaf; /* of the batch, in the tree */
    uint32_t (*leaf)[2];
    uint32_t (*digest)[8];
    uint64_t done, total; /* bytes */
};

/* Where leaf `leaf` of the tree is: its segment, and its number there. */
static uint32_t owner(const struct mx_bundle *bundle, uint32_t leaf, uint32_t *i) {
    uint32_t s = 0, n = bundle->manifest->segments;
    while (s + 1 < n && bundle->segments[s + 1].first_leaf <= leaf)
        s++;
    *i = leaf - bundle->segments[s].first_leaf;
    return s;
}

static enum moxie_error flush(struct batch *b, struct moxie_failure *failure) {
    struct moxie *e = b->engine;
    uint32_t counts[MX_COUNTS] = {[MX_LEAVES] = (b->filled + 15) / 16};
    memset(b->leaf + b->filled, 0, sizeof *b->leaf * (b->capacity - b->filled));
    enum moxie_error err = mx_cl_write(&e->cl, b->leaves, 0, b->leaf, sizeof *b->leaf * b->capacity, failure);
    if (!err)
        err = mx_launch_run(&e->cl, &b->launch, counts, NULL, failure);
    if (!err)
        err = mx_cl_read(&e->cl, b->digests, 0, b->digest, sizeof *b->digest * b->filled, failure);
    for (uint32_t i = 0; !err && i < b->filled; i++) {
        const uint8_t *expected = e->bundle->leaves + 32ull * (b->first_leaf + i);
        uint8_t found[32];
        for (int k = 0; k < 32; k++)
            found[k] = (uint8_t)(b->digest[i][k / 4] >> (24 - 8 * (k % 4)));
        b->done += b->leaf[i][1];
        if (memcmp(found, expected, sizeof found) != 0) {
            uint32_t number, segment = owner(e->bundle, b->first_leaf + i, &number);
            return mx_bundle_fail_leaf(e->bundle, segment, number, failure);
        }
    }
    b->first_leaf += b->filled;
    b->filled = 0;
    return err ? err : mx_progress(&e->cl, "verify", b->done, b->total, failure);
}

static enum moxie_error verify_window(struct batch *b, uint32_t w, struct moxie_failure *failure) {
    struct moxie *e = b->engine;
    const struct mx_window *window = &e->window_range[w];
    const struct mx_arg args[] = {mx_arg_mem(e->window[w]), mx_arg_mem(b->leaves), mx_arg_mem(b->digests),
                                  mx_arg_u32(b->capacity)};
    enum moxie_error err = mx_launch_bind(&e->cl, &b->launch, &(struct mx_program_key){.kernel_file = "hash"},
                                          "mx_hash_leaves", args, 4, failure);
    if (err)
        return err;
    mx_launch_grid(&e->cl, &b->launch, &(struct mx_grid){.work = MX_WORK_ROWS, .count = MX_LEAVES});
    b->first_leaf = e->bundle->segments[window->first].first_leaf;
    for (uint32_t s = window->first; !err && s <= window->last; s++) {
        const struct mx_segment *segment = &e->bundle->segments[s];
        for (uint32_t i = 0; !err && i < mx_segment_leaves(segment); i++) {
            struct mx_leaf leaf = mx_bundle_leaf(e->bundle, s, i);
            b->leaf[b->filled][0] = (uint32_t)((leaf.offset - window->offset) / MX_SEGMENT_ALIGN);
            b->leaf[b->filled][1] = leaf.bytes;
            if (++b->filled == b->capacity)
                err = flush(b, failure);
        }
    }
    return !err && b->filled ? flush(b, failure) : err;
}

enum moxie_error mx_verify_on_device(struct moxie *engine, struct moxie_failure *failure) {
    struct batch b = {.engine = engine};
    uint64_t room = engine->plan.facts.region_bytes[MOXIE_REGION_STEP] / (2 * 40) / 128 * 128;
    uint64_t host = engine->scratch_bytes / 40;
    b.capacity = (uint32_t)(room < host ? room : host);
    b.capacity = b.capacity < BATCH_MAX ? b.capacity : BATCH_MAX;
    b.leaf = (uint32_t(*)[2])engine->scratch;
    b.digest = (uint32_t(*)[8])(engine->scratch + 8ull * b.capacity);
    uint64_t digests = (8ull * b.capacity + MX_REGION_ALIGN - 1) / MX_REGION_ALIGN * MX_REGION_ALIGN;
    enum moxie_error err = mx_cl_sub(&engine->cl, engine->step, 0, 8ull * b.capacity, &b.leaves, failure);
    if (!err)
        err = mx_cl_sub(&engine->cl, engine->step, digests, 32ull * b.capacity, &b.digests, failure);
    for (uint32_t w = 0; w < engine->plan.facts.windows; w++)
        for (uint32_t s = engine->window_range[w].first; s <= engine->window_range[w].last; s++)
            b.total += engine->bundle->segments[s].bytes;
    for (uint32_t w = 0; !err && w < engine->plan.facts.windows; w++)
        err = verify_window(&b, w, failure);
    return err ? err : mx_bundle_check_tree(engine->bundle, failure);
}
