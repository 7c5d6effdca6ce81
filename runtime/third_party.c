/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/third_party.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "platform/platform.h"

/* The pool is a row of blocks without gaps, each a header and its payload, up to the end of `bytes`. An allocation
 * takes the first block that is large enough, after merging it with the free ones behind it. mbedTLS holds a few dozen
 * small blocks at a time, so the walk is short. */
struct header {
    _Alignas(max_align_t) uint32_t bytes; /* of the payload: a multiple of sizeof(struct header) */
    bool used;
};

static struct {
    atomic_flag taken;
    atomic_size_t peak;
    _Alignas(max_align_t) uint8_t bytes[MX_TP_POOL_BYTES];
} pool = {.taken = ATOMIC_FLAG_INIT};

static struct header *block_at(size_t offset) {
    return (struct header *)(void *)(pool.bytes + offset);
}

void mx_tp_enter(void) {
    while (atomic_flag_test_and_set_explicit(&pool.taken, memory_order_acquire)) {
        mx_pause();
    }
    *block_at(0) = (struct header){.bytes = MX_TP_POOL_BYTES - sizeof(struct header)};
}

void mx_tp_leave(void) {
    memset(pool.bytes, 0, sizeof pool.bytes);
    /* the wipe must not be optimised away: the compiler has to assume that this reads the pool */
    __asm__ volatile("" : : "r"(pool.bytes) : "memory");
    atomic_flag_clear_explicit(&pool.taken, memory_order_release);
}

size_t mx_tp_peak(void) {
    return atomic_load_explicit(&pool.peak, memory_order_relaxed);
}

void *mx_tp_calloc(size_t count, size_t size) {
    if (count == 0 || size > (MX_TP_POOL_BYTES - sizeof(struct header)) / count) {
        return NULL;
    }
    size_t need = (count * size + sizeof(struct header) - 1) & ~(sizeof(struct header) - 1);
    for (size_t at = 0; at < MX_TP_POOL_BYTES; at += sizeof(struct header) + block_at(at)->bytes) {
        struct header *block = block_at(at);
        if (block->used) {
            continue;
        }
        size_t end = at + sizeof(struct header) + block->bytes;
        while (end < MX_TP_POOL_BYTES && !block_at(end)->used) {
            end += sizeof(struct header) + block_at(end)->bytes;
        }
        size_t room = end - at - sizeof(struct header);
        if (room < need) {
            block->bytes = (uint32_t)room;
            continue;
        }
        if (room > need) { /* the rest, at least a header long, becomes a free block */
            *block_at(at + sizeof(struct header) + need) =
                (struct header){.bytes = (uint32_t)(room - need - sizeof(struct header))};
        }
        *block = (struct header){.bytes = (uint32_t)need, .used = true};
        size_t top = at + sizeof(struct header) + need;
        if (top > mx_tp_peak()) {
            atomic_store_explicit(&pool.peak, top, memory_order_relaxed); /* only the holder writes */
        }
        return memset(block + 1, 0, need);
    }
    return NULL;
}

void mx_tp_free(void *memory) {
    if (memory) {
        ((struct header *)memory - 1)->used = false;
    }
}

/* What is not there returns 0: NULL, "not opened", "nothing read"; for the locks, which mx_tp_enter makes superfluous,
 * "done". */
size_t mx_tp_absent(void);
size_t mx_tp_absent(void) {
    return 0;
}
#define ABSENT(name) size_t mx_tp_##name(void) __attribute__((alias("mx_tp_absent")))
ABSENT(malloc);
ABSENT(realloc);
ABSENT(printf);
ABSENT(__printf_chk);
ABSENT(puts);
ABSENT(putchar);
ABSENT(fopen);
ABSENT(fclose);
ABSENT(ferror);
ABSENT(fgets);
ABSENT(fread);
ABSENT(__fread_chk);
ABSENT(fwrite);
ABSENT(gmtime_r);
ABSENT(pthread_mutex_init);
ABSENT(pthread_mutex_destroy);
ABSENT(pthread_mutex_lock);
ABSENT(pthread_mutex_unlock);
