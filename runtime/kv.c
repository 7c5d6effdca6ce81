/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kv.h"

#include <string.h>

#include "runtime/bundle_format.h"

static uint32_t blocks_for(uint32_t positions) {
    return positions / MX_KV_BLOCK + (positions % MX_KV_BLOCK != 0);
}

uint64_t mx_kv_position_bytes(uint32_t kv_type, uint32_t kv_heads, uint32_t head_dim) {
    /* integers have a scale of one byte */
    const uint32_t head = kv_type == MX_KV_I8 ? head_dim + 1 : head_dim * (kv_type == MX_KV_F16 ? 2 : 4);
    return (uint64_t)kv_heads * head;
}

uint64_t mx_kv_bytes(uint32_t blocks, uint32_t sequences, uint32_t max_blocks) {
    return 4u * ((uint64_t)blocks * 2 + (uint64_t)sequences * 2 + (uint64_t)sequences * max_blocks);
}

void mx_kv_init(struct mx_kv *kv, void *memory, uint32_t blocks, uint32_t sequences, uint32_t context) {
    uint32_t *p = memory;
    *kv = (struct mx_kv){.blocks = blocks, .sequences = sequences, .context = context, .free_count = blocks};
    kv->max_blocks = blocks_for(context);
    kv->free_list = p;
    kv->users = p + blocks;
    kv->length = p + (size_t)blocks * 2;
    kv->held = kv->length + sequences;
    kv->table = (int32_t *)(kv->held + sequences);
    memset(memory, 0, (size_t)mx_kv_bytes(blocks, sequences, kv->max_blocks));
    for (uint32_t i = 0; i < blocks; i++)
        kv->free_list[i] = blocks - 1 - i; /* block 0 is taken first */
}

static int32_t *row(const struct mx_kv *kv, uint32_t sequence) {
    return kv->table + (size_t)sequence * kv->max_blocks;
}

static void release(struct mx_kv *kv, uint32_t block) {
    if (--kv->users[block] == 0)
        kv->free_list[kv->free_count++] = block;
}

static uint32_t take(struct mx_kv *kv) {
    uint32_t block = kv->free_list[--kv->free_count];
    kv->users[block] = 1;
    return block;
}

static bool holds(const struct mx_kv *kv, uint32_t sequence, uint32_t i, int32_t block) {
    return i < kv->held[sequence] && row(kv, sequence)[i] == block;
}

/* The tail block of `sequence`, which is written next, is another's to write: of those who hold it the longest writes
 * behind what all of them have, also when a step fails and the others go back to it; of equals the first. */
static bool tail_is_taken(const struct mx_kv *kv, uint32_t sequence) {
    const uint32_t length = kv->length[sequence], tail = length / MX_KV_BLOCK;
    if (tail >= kv->held[sequence])
        return false;
    const int32_t block = row(kv, sequence)[tail];
    for (uint32_t s = 0; s < kv->sequences && kv->users[block] > 1; s++)
        if (s != sequence && holds(kv, s, tail, block) &&
            (s < sequence ? kv->length[s] >= length : kv->length[s] > length))
            return true;
    return false;
}

enum moxie_error mx_kv_reserve(struct mx_kv *kv, uint32_t sequence, uint32_t count, struct mx_kv_copy *copy,
                               uint32_t *copies, struct moxie_failure *failure) {
    uint32_t length = kv->length[sequence];
    if (count > kv->context - length)
        return mx_fail(failure, MOXIE_ERROR_CONTEXT_FULL, UINT64_MAX,
                       "sequence %u has %u of %u positions, %u more were asked for", sequence, length, kv->context,
                       count);
    bool taken = tail_is_taken(kv, sequence);
    uint32_t want = blocks_for(length + count);
    uint32_t missing = want > kv->held[sequence] ? want - kv->held[sequence] : 0;
    if (missing + taken > kv->free_count)
        return mx_fail(failure, MOXIE_ERROR_CONTEXT_FULL, UINT64_MAX,
                       "KV pool full: sequence %u needs %u blocks of 64 positions, %u of %u are free", sequence,
                       missing + taken, kv->free_count, kv->blocks);
    int32_t *table = row(kv, sequence);
    if (taken) {
        uint32_t tail = length / MX_KV_BLOCK;
        copy[*copies] = (struct mx_kv_copy){.from = (uint32_t)table[tail], .to = take(kv)};
        kv->users[table[tail]]--;
        table[tail] = (int32_t)copy[*copies].to;
        (*copies)++;
    }
    while (kv->held[sequence] < want)
        table[kv->held[sequence]++] = (int32_t)take(kv);
    return MOXIE_OK;
}

void mx_kv_undo_copy(struct mx_kv *kv, struct mx_kv_copy copy) {
    for (uint32_t s = 0; s < kv->sequences; s++) {
        uint32_t tail = kv->length[s] / MX_KV_BLOCK;
        if (holds(kv, s, tail, (int32_t)copy.to)) {
            row(kv, s)[tail] = (int32_t)copy.from;
            kv->users[copy.from]++;
            release(kv, copy.to);
            return;
        }
    }
}

uint32_t mx_kv_room(const struct mx_kv *kv, uint32_t sequence) {
    uint32_t length = kv->length[sequence];
    uint32_t context = kv->context - length;
    uint32_t taken = tail_is_taken(kv, sequence);
    if (taken > kv->free_count)
        return 0;
    uint64_t pool = (uint64_t)(kv->held[sequence] + kv->free_count - taken) * MX_KV_BLOCK - length;
    return pool < context ? (uint32_t)pool : context;
}

void mx_kv_set_length(struct mx_kv *kv, uint32_t sequence, uint32_t length) {
    int32_t *table = row(kv, sequence);
    uint32_t keep = blocks_for(length);
    while (kv->held[sequence] > keep)
        release(kv, (uint32_t)table[--kv->held[sequence]]);
    kv->length[sequence] = length;
}

void mx_kv_fork(struct mx_kv *kv, uint32_t from, uint32_t to, uint32_t length) {
    mx_kv_set_length(kv, to, 0);
    int32_t *source = row(kv, from), *target = row(kv, to);
    uint32_t n = blocks_for(length);
    for (uint32_t i = 0; i < n; i++) {
        target[i] = source[i];
        kv->users[source[i]]++;
    }
    kv->held[to] = n;
    kv->length[to] = length;
}
