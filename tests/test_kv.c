/* SPDX-License-Identifier: Apache-2.0
 *
 * The KV cache's bookkeeping against a model of it: every sequence's content is a list of (writer, position) that a
 * fake device keeps per block slot. Whatever is forked, cut and appended, each sequence must read back its own history.
 */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kv.h"

enum { BLOCKS = 9, SEQUENCES = 4, CONTEXT = 400, MAX_BLOCKS = 7 };

struct world {
    struct mx_kv kv;
    uint32_t memory[1024];
    uint32_t device[BLOCKS][MX_KV_BLOCK];               /* what is stored in each position of each block */
    uint32_t history[SEQUENCES][CONTEXT], n[SEQUENCES]; /* what each sequence must read */
    uint32_t stamp;
};

static void start(struct world *w) {
    memset(w, 0, sizeof *w);
    assert_true(mx_kv_bytes(BLOCKS, SEQUENCES, MAX_BLOCKS) <= sizeof w->memory);
    mx_kv_init(&w->kv, w->memory, BLOCKS, SEQUENCES, CONTEXT);
    assert_int_equal(w->kv.max_blocks, MAX_BLOCKS);
}

/* Appends count[s] positions to each sequence as a step does: reserve for all or for none, copy, write, and set the
 * lengths; or be cancelled when all is written. False: there was no room. */
static bool step(struct world *w, const uint32_t count[SEQUENCES], bool cancelled) {
    struct mx_kv_copy copy[SEQUENCES];
    uint32_t copies = 0, full = SEQUENCES;
    for (uint32_t s = 0; s < SEQUENCES && full == SEQUENCES; s++)
        if (count[s] && mx_kv_reserve(&w->kv, s, count[s], copy, &copies, NULL) != MOXIE_OK)
            full = s;
    for (uint32_t i = 0; i < copies && full == SEQUENCES; i++)
        memcpy(w->device[copy[i].to], w->device[copy[i].from], sizeof w->device[0]);
    for (uint32_t s = 0; s < SEQUENCES && full == SEQUENCES; s++)
        for (uint32_t i = 0; i < count[s]; i++) {
            const uint32_t p = w->n[s] + i;
            w->device[w->kv.table[s * MAX_BLOCKS + p / MX_KV_BLOCK]][p % MX_KV_BLOCK] = ++w->stamp;
            w->history[s][p] = w->stamp;
        }
    const bool done = full == SEQUENCES && !cancelled;
    while (!done && copies)
        mx_kv_undo_copy(&w->kv, copy[--copies]);
    for (uint32_t s = 0; s < full; s++) {
        w->n[s] += done ? count[s] : 0;
        mx_kv_set_length(&w->kv, s, w->n[s]);
    }
    return full == SEQUENCES;
}

static bool append(struct world *w, uint32_t s, uint32_t more) {
    uint32_t count[SEQUENCES] = {0};
    count[s] = more;
    const bool room = more <= mx_kv_room(&w->kv, s);
    assert_int_equal(step(w, count, false), room);
    return room;
}

static void check(const struct world *w) {
    uint32_t users[BLOCKS] = {0}, used = 0;
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        assert_int_equal(w->kv.length[s], w->n[s]);
        assert_int_equal(w->kv.held[s], (w->n[s] + MX_KV_BLOCK - 1) / MX_KV_BLOCK);
        for (uint32_t p = 0; p < w->n[s]; p++)
            assert_int_equal(w->device[w->kv.table[s * MAX_BLOCKS + p / MX_KV_BLOCK]][p % MX_KV_BLOCK],
                             w->history[s][p]);
        for (uint32_t b = 0; b < w->kv.held[s]; b++)
            users[w->kv.table[s * MAX_BLOCKS + b]]++;
    }
    for (uint32_t b = 0; b < BLOCKS; b++) {
        assert_int_equal(w->kv.users[b], users[b]);
        used += users[b] != 0;
    }
    assert_int_equal(w->kv.free_count, BLOCKS - used);
}

static void test_random_histories(void **state) {
    (void)state;
    static struct world w;
    uint32_t refused = 0, forks = 0, together = 0, cancelled = 0;
    srand(7);
    start(&w);
    for (int round = 0; round < 20000; round++) {
        uint32_t s = (uint32_t)rand() % SEQUENCES, t = (uint32_t)rand() % SEQUENCES;
        switch (rand() % 6) {
        case 0:
        case 1:
            refused += !append(&w, s, 1 + (uint32_t)rand() % 90);
            break;
        case 2:
            w.n[s] = w.n[s] ? (uint32_t)rand() % (w.n[s] + 1) : 0;
            mx_kv_set_length(&w.kv, s, w.n[s]);
            break;
        case 3:
        case 4: {
            uint32_t count[SEQUENCES];
            const bool cancel = rand() % 2;
            for (uint32_t i = 0; i < SEQUENCES; i++)
                count[i] = rand() % 3 ? (uint32_t)rand() % 40 : 0;
            const bool fits = step(&w, count, cancel);
            together += fits && !cancel;
            cancelled += fits && cancel;
            break;
        }
        default:
            if (s == t)
                break;
            w.n[t] = w.n[s] ? (uint32_t)rand() % (w.n[s] + 1) : 0;
            memcpy(w.history[t], w.history[s], sizeof w.history[s]);
            mx_kv_fork(&w.kv, s, t, w.n[t]);
            forks++;
        }
        check(&w);
    }
    /* the pool was really exhausted and shared */
    assert_true(refused > 100 && forks > 1000 && together > 1000 && cancelled > 1000);
}

static void test_undone_copy(void **state) {
    (void)state;
    static struct world w;
    struct mx_kv_copy copy[2];
    uint32_t copies = 0;
    start(&w);
    assert_true(append(&w, 0, 70));
    w.n[1] = 70;
    memcpy(w.history[1], w.history[0], sizeof w.history[0]);
    mx_kv_fork(&w.kv, 0, 1, 70);
    assert_int_equal(mx_kv_reserve(&w.kv, 1, 100, copy, &copies, NULL), MOXIE_OK);
    assert_int_equal(copies, 1);
    assert_int_not_equal(copy[0].from, copy[0].to);
    mx_kv_undo_copy(&w.kv, copy[0]);
    mx_kv_set_length(&w.kv, 1, 70);
    check(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_undone_copy),
    };
    return check_run(tests);
}
