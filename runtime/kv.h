/* SPDX-License-Identifier: Apache-2.0
 *
 * The KV cache's bookkeeping: a pool of blocks of 64 positions, found through a block table per sequence. Blocks are
 * shared between forked sequences; the longest of them writes on in the shared one, another copies it first. Pure host
 * logic; the bytes are on the device. */
#ifndef MX_KV_H
#define MX_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/fail.h"

#define MX_KV_BLOCK 64u /* positions; ARITHMETIC.md fixes it */

/* A block to be copied on the device before the step's launches. */
struct mx_kv_copy {
    uint32_t from, to;
};

struct mx_kv {
    uint32_t blocks; /* of the pool */
    uint32_t sequences;
    uint32_t max_blocks; /* of one sequence */
    uint32_t context;    /* positions of one sequence */
    uint32_t free_count;
    uint32_t *free_list; /* (blocks) stack */
    uint32_t *users;     /* (blocks) sequences that hold the block */
    uint32_t *length;    /* (sequences) positions */
    uint32_t *held;      /* (sequences) blocks in the table */
    int32_t *table;      /* (sequences, max_blocks) */
};

/* Bytes of one position's keys, or of its values, in one layer. kv_type: enum mx_kv_type. */
uint64_t mx_kv_position_bytes(uint32_t kv_type, uint32_t kv_heads, uint32_t head_dim);

/* Bytes that mx_kv_init needs for its arrays; 4-byte alignment. */
uint64_t mx_kv_bytes(uint32_t blocks, uint32_t sequences, uint32_t max_blocks);
void mx_kv_init(struct mx_kv *kv, void *memory, uint32_t blocks, uint32_t sequences, uint32_t context);

/* Makes positions length .. length + count - 1 of `sequence` writable: takes blocks from the pool and lists the copy
 * that a tail block needs which is another's to write (at most one; *copies grows by it). The length does not change.
 * MOXIE_ERROR_CONTEXT_FULL leaves everything as it was. */
enum moxie_error mx_kv_reserve(struct mx_kv *kv, uint32_t sequence, uint32_t count, struct mx_kv_copy *copy,
                               uint32_t *copies, struct moxie_failure *failure);

/* Takes back a copy that mx_kv_reserve listed and that will not be made. */
void mx_kv_undo_copy(struct mx_kv *kv, struct mx_kv_copy copy);

/* Positions that can still be appended. */
uint32_t mx_kv_room(const struct mx_kv *kv, uint32_t sequence);

/* Sets the length (at most what is reserved) and gives back blocks beyond it. */
void mx_kv_set_length(struct mx_kv *kv, uint32_t sequence, uint32_t length);

/* `to` becomes the first `length` positions of `from`. length <= from's length; from != to. */
void mx_kv_fork(struct mx_kv *kv, uint32_t from, uint32_t to, uint32_t length);

#endif
