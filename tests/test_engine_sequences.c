/* SPDX-License-Identifier: Apache-2.0
 *
 * Sequences that are cut, forked, reset and cancelled: whatever happened before, logits are those of the tokens that
 * the sequence holds now. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "tests/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/engine_kit.h"

struct world {
    struct kit kit;
    int32_t a[KIT_TOKENS], b[KIT_TOKENS]; /* the golden's tokens, and the same up to 100 but others after it */
    float *of_a, *of_b, *got;             /* (KIT_TOKENS, vocab) */
};

enum { FORK = 100 }; /* inside the second block */

static void truncate_to(struct world *w, uint32_t sequence, uint32_t length) {
    check_ok(moxie_sequence_truncate(w->kit.engine, sequence, length, &w->kit.failure), w->kit.failure);
    assert_int_equal(moxie_sequence_length(w->kit.engine, sequence), length);
}

static void reset(struct world *w) {
    for (uint32_t s = 0; s < w->kit.plan.sequences; s++) {
        truncate_to(w, s, 0);
    }
    assert_int_equal(w->kit.engine->kv.free_count, w->kit.plan.kv_blocks);
}

static struct moxie_config config(void) {
    struct moxie_config c = kit_config();
    c.step_tokens = 64;
    c.step_logits = 64;
    return c;
}

static void open_world_kv(struct world *w, enum pk_weights weights, uint32_t kv_type) {
    const struct moxie_config c = config();
    memset(w, 0, sizeof *w);
    kit_open_kv(&w->kit, "moe-norm-tied", weights, kv_type);
    kit_start(&w->kit, &c);
    kit_tokens("moe-norm-tied", w->a);
    for (int i = 0; i < KIT_TOKENS; i++) {
        w->b[i] = i < FORK ? w->a[i] : (w->a[i] + 1 + i) % (int32_t)w->kit.model.vocab;
    }
    w->of_a = kit_rows(&w->kit);
    w->of_b = kit_rows(&w->kit);
    w->got = kit_rows(&w->kit);
    kit_feed(&w->kit, 0, w->a, KIT_TOKENS, 50, w->of_a);
    truncate_to(w, 0, 0);
    kit_feed(&w->kit, 0, w->b, KIT_TOKENS, 50, w->of_b);
    reset(w);
}

static void open_world(struct world *w, enum pk_weights weights) {
    open_world_kv(w, weights, 0);
}

/* With another plan. */
static void restart(struct world *w, const struct moxie_config *c) {
    kit_stop(&w->kit);
    kit_start(&w->kit, c);
}

static void close_world(struct world *w) {
    free(w->of_a);
    free(w->of_b);
    free(w->got);
    kit_close(&w->kit);
}

/* Appends tokens [first, end) and compares with rows of `want`. */
static void append(struct world *w, const char *what, uint32_t sequence, const int32_t *tokens, const float *want,
                   uint32_t first, uint32_t end, uint32_t chunk) {
    assert_int_equal(moxie_sequence_length(w->kit.engine, sequence), first);
    kit_feed(&w->kit, sequence, tokens + first, end - first, chunk, w->got);
    kit_same(&w->kit, what, w->got, want + (size_t)first * w->kit.model.vocab, end - first);
}

/* ---- Truncate, reset ---- */

static void truncate_and_append(enum pk_weights weights, uint32_t kv_type) {
    static const uint32_t cuts[] = {149, 129, 128, 127, 100, 65, 64, 63, 1, 0};
    struct world w;
    open_world_kv(&w, weights, kv_type);
    kit_feed(&w.kit, 0, w.b, KIT_TOKENS, 64, NULL);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        uint32_t keep = cuts[i] < FORK ? cuts[i] : FORK;
        truncate_to(&w, 0, cuts[i]); /* still of b */
        truncate_to(&w, 0, keep);
        append(&w, "a after a cut", 0, w.a, w.of_a, keep, KIT_TOKENS, i % 2 ? 7 : 50);
        truncate_to(&w, 0, keep);
        append(&w, "b after a cut", 0, w.b, w.of_b, keep, KIT_TOKENS, i % 2 ? 50 : 7);
    }
    check_error(moxie_sequence_truncate(w.kit.engine, 0, KIT_TOKENS + 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_sequence_truncate(w.kit.engine, 3, 0, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    assert_int_equal(moxie_sequence_length(w.kit.engine, 0), KIT_TOKENS);
    close_world(&w);
}

static void test_truncate(void **state) {
    (void)state;
    truncate_and_append(PK_WEIGHTS_INT4, 0); /* KV in half */
    truncate_and_append(PK_WEIGHTS_KEEP, 0); /* in float */
    truncate_and_append(PK_WEIGHTS_INT4, MX_KV_I8);
}

/* ---- Fork ---- */

static void fork_and_append(enum pk_weights weights, uint32_t kv_type) {
    struct world w;
    open_world_kv(&w, weights, kv_type);
    struct moxie *e = w.kit.engine;
    append(&w, "the stem", 0, w.a, w.of_a, 0, FORK, 50);
    uint32_t free_blocks = e->kv.free_count;
    check_ok(moxie_sequence_fork(e, 0, 1, FORK, &w.kit.failure), w.kit.failure);
    check_ok(moxie_sequence_fork(e, 0, 2, 64, &w.kit.failure), w.kit.failure);
    assert_int_equal(e->kv.free_count, free_blocks); /* nothing is copied yet */
    assert_int_equal(moxie_sequence_length(e, 1), FORK);
    assert_int_equal(moxie_sequence_length(e, 2), 64);

    /* Both ends of the fork write into the block that they share, in one step and alternating. */
    for (uint32_t at = FORK; at < KIT_TOKENS; at += 10) {
        struct moxie_entry entries[20];
        for (uint32_t i = 0; i < 20; i++) {
            entries[i] = (struct moxie_entry){
                .sequence = i % 2, .position = at + i / 2, .token = (i % 2 ? w.b : w.a)[at + i / 2], .want_logits = 1};
        }
        check_ok(moxie_step(e, entries, 20, &w.kit.failure), w.kit.failure);
        for (uint32_t i = 0; i < 20; i++) {
            kit_same(&w.kit, i % 2 ? "the fork" : "the original", moxie_logits(e, i),
                     (i % 2 ? w.of_b : w.of_a) + (size_t)(at + i / 2) * w.kit.model.vocab, 1);
        }
    }
    append(&w, "a fork at the end of a block", 2, w.b, w.of_b, 64, KIT_TOKENS, 33);

    /* The original goes away; what was forked stays. */
    truncate_to(&w, 0, 0);
    truncate_to(&w, 1, FORK + 20);
    append(&w, "the fork alone", 1, w.b, w.of_b, FORK + 20, KIT_TOKENS, 10);

    /* Over a sequence that was in use, and back. */
    check_ok(moxie_sequence_fork(e, 1, 2, 130, &w.kit.failure), w.kit.failure);
    append(&w, "a fork over another", 2, w.b, w.of_b, 130, KIT_TOKENS, 10);
    check_ok(moxie_sequence_fork(e, 2, 0, 10, &w.kit.failure), w.kit.failure);
    append(&w, "a short fork", 0, w.a, w.of_a, 10, KIT_TOKENS, 64);

    check_error(moxie_sequence_fork(e, 0, 0, 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_sequence_fork(e, 0, 3, 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_sequence_fork(e, 3, 0, 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_sequence_fork(e, 0, 1, KIT_TOKENS + 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    assert_int_equal(moxie_sequence_length(e, 1), KIT_TOKENS);
    reset(&w);
    close_world(&w);
}

static void test_fork(void **state) {
    (void)state;
    fork_and_append(PK_WEIGHTS_INT4, 0);
    fork_and_append(PK_WEIGHTS_KEEP, 0);
    fork_and_append(PK_WEIGHTS_INT4, MX_KV_I8);
}

/* ---- Cancel ---- */

struct canceller {
    struct moxie *engine;
    atomic_int go, stop; /* go: 1 + microseconds to wait before one cancellation, 0 when it is done */
    pthread_t thread;
};

static void *cancel_thread(void *context) {
    struct canceller *c = context;
    while (!atomic_load(&c->stop)) {
        int go = atomic_load(&c->go);
        if (!go) {
            continue;
        }
        struct timespec t = {.tv_nsec = (long)(go - 1) * 1000};
        nanosleep(&t, NULL);
        moxie_cancel(c->engine);
        atomic_store(&c->go, 0);
    }
    return NULL;
}

/* Cancels long prefills at many moments. Each ends either in full or as it began, and what follows has the same bits:
 * also for a fork that shares the block in which the cancelled step had begun to write. */
static void test_cancel(void **state) {
    struct world w;
    struct canceller c = {.stop = 0};
    int cancelled = 0, finished = 0;
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    c.engine = w.kit.engine;
    assert_int_equal(pthread_create(&c.thread, NULL, cancel_thread, &c), 0);
    for (int i = 0; i < 400 && (cancelled < 12 || finished < 3); i++) {
        reset(&w);
        kit_feed(&w.kit, 0, w.a, FORK, 64, NULL);
        check_ok(moxie_sequence_fork(w.kit.engine, 0, 1, FORK, &w.kit.failure), w.kit.failure);
        uint32_t free_blocks = w.kit.engine->kv.free_count;
        atomic_store(&c.go, 1 + (cancelled < 12 ? i % 25 * 60 : 20000));
        enum moxie_error e = moxie_prefill(w.kit.engine, 0, w.b + FORK, KIT_TOKENS - FORK, &w.kit.failure);
        while (atomic_load(&c.go)) {
        }
        if (e == MOXIE_ERROR_CANCELLED) {
            cancelled++;
            assert_int_equal(moxie_sequence_length(w.kit.engine, 0), FORK);
            assert_int_equal(w.kit.engine->kv.free_count, free_blocks);
            assert_null(moxie_logits(w.kit.engine, 0));
        } else {
            check_ok(e, w.kit.failure);
            finished++;
            kit_same(&w.kit, "not cancelled", moxie_logits(w.kit.engine, 0),
                     w.of_b + (size_t)(KIT_TOKENS - 1) * w.kit.model.vocab, 1);
            truncate_to(&w, 0, FORK);
        }
        /* a late cancellation must not reach the next call */
        append(&w, "after a cancellation", 0, w.a, w.of_a, FORK, KIT_TOKENS, 25);
        append(&w, "its fork", 1, w.b, w.of_b, FORK, KIT_TOKENS, 25);
    }
    atomic_store(&c.stop, 1);
    pthread_join(c.thread, NULL);
    print_message("%d cancelled, %d finished\n", cancelled, finished);
    assert_true(cancelled >= 5);
    close_world(&w);
}

/* A step for a sequence and for a shorter fork, which share the block that both write, is cancelled: no key and no
 * value of the longer one is the fork's. */
static void test_cancel_together(void **state) {
    enum { LONG = 115, MORE = 12 };
    struct world w;
    struct canceller c = {.stop = 0};
    int cancelled = 0;
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    c.engine = w.kit.engine;
    assert_int_equal(pthread_create(&c.thread, NULL, cancel_thread, &c), 0);
    for (int i = 0; i < 400 && cancelled < 20; i++) {
        struct moxie_entry entries[2 * MORE];
        reset(&w);
        kit_feed(&w.kit, 0, w.a, LONG, 64, NULL);
        check_ok(moxie_sequence_fork(w.kit.engine, 0, 1, FORK, &w.kit.failure), w.kit.failure);
        for (uint32_t k = 0; k < MORE; k++) {
            entries[k] = (struct moxie_entry){.sequence = 0, .position = LONG + k, .token = w.b[LONG + k]};
            entries[MORE + k] = (struct moxie_entry){.sequence = 1, .position = FORK + k, .token = w.b[FORK + k]};
        }
        atomic_store(&c.go, 1 + i % 25 * 60);
        const enum moxie_error e = moxie_step(w.kit.engine, entries, 2 * MORE, &w.kit.failure);
        while (atomic_load(&c.go)) {
        }
        cancelled += e == MOXIE_ERROR_CANCELLED;
        truncate_to(&w, 1, 0);
        truncate_to(&w, 0, LONG);
        append(&w, "after a cancellation", 0, w.a, w.of_a, LONG, KIT_TOKENS, 25);
    }
    atomic_store(&c.stop, 1);
    pthread_join(c.thread, NULL);
    assert_true(cancelled >= 5);
    close_world(&w);
}

/* A cancellation while nothing runs is forgotten. */
static void test_cancel_idle(void **state) {
    struct world w;
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    moxie_cancel(w.kit.engine);
    moxie_cancel(NULL);
    append(&w, "after an idle cancellation", 0, w.a, w.of_a, 0, KIT_TOKENS, 50);
    close_world(&w);
}

/* ---- What a sequence refuses leaves it as it was ---- */

struct state {
    uint32_t length[3], free_blocks;
};

static struct state state_of(const struct world *w) {
    struct state s;
    for (uint32_t i = 0; i < 3; i++) {
        s.length[i] = moxie_sequence_length(w->kit.engine, i);
    }
    s.free_blocks = w->kit.engine->kv.free_count;
    return s;
}

static void refuse(struct world *w, const struct moxie_entry *entries, uint32_t count, enum moxie_error code,
                   const char *part) {
    struct state before = state_of(w);
    check_error(moxie_step(w->kit.engine, entries, count, &w->kit.failure), code);
    assert_int_equal(w->kit.failure.code, code);
    if (part && !strstr(w->kit.failure.what, part)) {
        fail_msg("\"%s\" lacks \"%s\"", w->kit.failure.what, part);
    }
    struct state after = state_of(w);
    assert_memory_equal(&before, &after, sizeof before);
}

static void test_bad_entries(void **state) {
    struct world w;
    struct moxie_entry e[65];
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    append(&w, "before", 0, w.a, w.of_a, 0, FORK, 50);
    const struct moxie_entry good = {.sequence = 0, .position = FORK, .token = w.a[FORK]};

    e[0] = good, e[0].token = -1;
    refuse(&w, e, 1, MOXIE_ERROR_TOKEN, "-1");
    e[0] = good, e[0].token = (int32_t)w.kit.model.vocab;
    refuse(&w, e, 1, MOXIE_ERROR_TOKEN, "131");
    e[0] = good, e[0].token = INT32_MIN;
    refuse(&w, e, 1, MOXIE_ERROR_TOKEN, NULL);
    e[0] = good, e[0].sequence = 3;
    refuse(&w, e, 1, MOXIE_ERROR_SEQUENCE, "sequence 3 of 3");
    e[0] = good, e[0].position = FORK + 1;
    refuse(&w, e, 1, MOXIE_ERROR_SEQUENCE, "position 101");
    e[0] = good, e[0].position = FORK - 1;
    refuse(&w, e, 1, MOXIE_ERROR_SEQUENCE, "next one is 100");
    e[0] = good, e[1] = good; /* the same position twice */
    refuse(&w, e, 2, MOXIE_ERROR_SEQUENCE, "entry 1");
    e[0] = (struct moxie_entry){.sequence = 1}; /* a good entry before a bad one */
    e[1] = good, e[1].token = 1000;
    refuse(&w, e, 2, MOXIE_ERROR_TOKEN, "entry 1");
    refuse(&w, e, 0, MOXIE_ERROR_ARGUMENT, NULL);
    refuse(&w, NULL, 1, MOXIE_ERROR_ARGUMENT, NULL);
    kit_entries(e, 1, 0, w.a, 65, false);
    refuse(&w, e, 65, MOXIE_ERROR_ARGUMENT, "65");
    check_error(moxie_step(NULL, e, 1, &w.kit.failure), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_prefill(w.kit.engine, 0, w.a, 0, &w.kit.failure), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_prefill(w.kit.engine, 3, w.a, 1, &w.kit.failure), MOXIE_ERROR_SEQUENCE);
    int32_t bad[] = {1, 2, 3, 131};
    check_error(moxie_prefill(w.kit.engine, 0, bad, 4, &w.kit.failure), MOXIE_ERROR_TOKEN);
    append(&w, "after refusals", 0, w.a, w.of_a, FORK, KIT_TOKENS, 50);
    close_world(&w);
}

static void test_too_many_logits(void **state) {
    struct world w;
    struct moxie_entry e[8];
    struct moxie_config c = config();
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    c.step_logits = 3;
    restart(&w, &c);
    kit_entries(e, 0, 0, w.a, 8, true);
    refuse(&w, e, 8, MOXIE_ERROR_ARGUMENT, "8 rows");
    for (int i = 0; i < 8; i++) {
        e[i].want_logits = i % 3 == 1; /* rows 0, 1, 2 are entries 1, 4, 7 */
    }
    check_ok(moxie_step(w.kit.engine, e, 8, &w.kit.failure), w.kit.failure);
    for (uint32_t i = 0; i < 3; i++) {
        kit_same(&w.kit, "the rows asked for", moxie_logits(w.kit.engine, i),
                 w.of_a + (size_t)(3 * i + 1) * w.kit.model.vocab, 1);
    }
    assert_null(moxie_logits(w.kit.engine, 3));
    e[0] = (struct moxie_entry){.sequence = 0, .position = 8, .token = w.a[8]};
    check_ok(moxie_step(w.kit.engine, e, 1, &w.kit.failure), w.kit.failure); /* none asked for: none there */
    assert_null(moxie_logits(w.kit.engine, 0));
    int32_t token;
    check_error(moxie_sample(w.kit.engine, 0, NULL, 9, &token, &w.kit.failure), MOXIE_ERROR_STATE);
    close_world(&w);
}

/* ---- Full ---- */

static void test_context_full(void **state) {
    struct world w;
    struct moxie_entry e[2];
    struct moxie_config c = config();
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    c.context = FORK;
    restart(&w, &c);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 0), FORK);
    append(&w, "up to the brim", 0, w.a, w.of_a, 0, FORK, 64);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 0), 0);
    e[0] = (struct moxie_entry){.sequence = 1, .token = 1}; /* has room, but the step as a whole has not */
    e[1] = (struct moxie_entry){.sequence = 0, .position = FORK, .token = w.a[FORK]};
    refuse(&w, e, 2, MOXIE_ERROR_CONTEXT_FULL, "sequence 0");
    check_error(moxie_prefill(w.kit.engine, 0, w.a, 1, &w.kit.failure), MOXIE_ERROR_CONTEXT_FULL);
    check_error(moxie_prefill(w.kit.engine, 1, w.a, FORK + 1, &w.kit.failure), MOXIE_ERROR_CONTEXT_FULL);
    assert_int_equal(moxie_sequence_length(w.kit.engine, 1), 0);
    truncate_to(&w, 0, FORK - 10);
    append(&w, "after room was made", 0, w.a, w.of_a, FORK - 10, FORK, 10);
    close_world(&w);
}

/* Three sequences of 192 positions share a pool of 4 blocks. */
static void test_pool_full(void **state) {
    struct world w;
    struct moxie_entry e[2];
    struct moxie_config c = config();
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    c.kv_positions = 256;
    restart(&w, &c);
    append(&w, "three blocks", 0, w.a, w.of_a, 0, KIT_TOKENS, 64);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 1), 64);
    append(&w, "the fourth", 1, w.a, w.of_a, 0, 64, 64);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 1), 0);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 0), KIT_CONTEXT - KIT_TOKENS);
    e[0] = (struct moxie_entry){.sequence = 0, .position = KIT_TOKENS, .token = 1};
    e[1] = (struct moxie_entry){.sequence = 1, .position = 64, .token = w.a[64]};
    refuse(&w, e, 2, MOXIE_ERROR_CONTEXT_FULL, "sequence 1");
    /* a fork costs nothing until it writes; then there is no block for its copy */
    truncate_to(&w, 1, 0);
    kit_feed(&w.kit, 1, w.a, 10, 10, NULL);
    check_ok(moxie_sequence_fork(w.kit.engine, 0, 2, FORK, &w.kit.failure), w.kit.failure);
    assert_int_equal(moxie_sequence_room(w.kit.engine, 2), 0);
    e[0] = (struct moxie_entry){.sequence = 2, .position = FORK, .token = w.b[FORK]};
    refuse(&w, e, 1, MOXIE_ERROR_CONTEXT_FULL, "sequence 2");
    truncate_to(&w, 1, 0);
    append(&w, "the fork, when there is room", 2, w.b, w.of_b, FORK, 128, 10);
    append(&w, "its original", 0, w.a, w.of_a, KIT_TOKENS, KIT_TOKENS, 10);
    close_world(&w);
}

/* ---- What only a tokenizer could do ---- */

/* Two sequences in turns read as much as one after the other: weights, and 30 and 10 positions. */
static void test_step_bytes(void **state) {
    enum { LONG = 30, SHORT = 10 };
    struct world w;
    uint64_t bytes[2];
    (void)state;
    open_world(&w, PK_WEIGHTS_F16);
    for (int mixed = 0; mixed < 2; mixed++) {
        struct moxie_entry entries[LONG + SHORT];
        uint32_t n = 0;
        for (uint32_t i = 0; i < LONG; i++) {
            entries[n++] = (struct moxie_entry){.sequence = 0, .position = i, .token = w.a[i]};
            if (mixed && i < SHORT) {
                entries[n++] = (struct moxie_entry){.sequence = 1, .position = i, .token = w.a[i]};
            }
        }
        for (uint32_t i = 0; !mixed && i < SHORT; i++) {
            entries[n++] = (struct moxie_entry){.sequence = 1, .position = i, .token = w.a[i]};
        }
        check_ok(moxie_step(w.kit.engine, entries, n, &w.kit.failure), w.kit.failure);
        bytes[mixed] = moxie_step_bytes(w.kit.engine);
        reset(&w);
    }
    assert_int_equal(bytes[0], bytes[1]);
    close_world(&w);
}

static void test_no_tokenizer(void **state) {
    struct world w;
    struct moxie_text text = {{0}};
    char bytes[512];
    int32_t ids[8];
    size_t n;
    (void)state;
    open_world(&w, PK_WEIGHTS_INT4);
    struct moxie *e = w.kit.engine;
    check_error(moxie_encode(e, "x", 1, 0, ids, 8, &n, &w.kit.failure), MOXIE_ERROR_TEXT);
    check_error(moxie_decode(e, &text, 1, bytes, sizeof bytes, &n, &w.kit.failure), MOXIE_ERROR_TEXT);
    check_error(moxie_chat_turn(e, MOXIE_CHAT_AT_START, "user", "x", 1, 1, ids, 8, &n, &w.kit.failure),
                MOXIE_ERROR_TEXT);
    /* greedy is the default, and the end tokens are the model's */
    int32_t token = -1, best = 0;
    append(&w, "a prompt", 0, w.a, w.of_a, 0, FORK, 1);
    const float *row = moxie_logits(e, 0);
    for (uint32_t i = 1; i < w.kit.model.vocab; i++) {
        best = row[i] > row[best] ? (int32_t)i : best;
    }
    struct moxie_sampling greedy = MOXIE_SAMPLING;
    greedy.temperature = -1;
    check_ok(moxie_sample(e, 0, &greedy, FORK, &token, &w.kit.failure), w.kit.failure);
    assert_int_equal(token, best);
    assert_int_equal(moxie_is_end(e, -1), 0);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncate),        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_cancel),          cmocka_unit_test(test_cancel_idle),
        cmocka_unit_test(test_bad_entries),     cmocka_unit_test(test_too_many_logits),
        cmocka_unit_test(test_context_full),    cmocka_unit_test(test_pool_full),
        cmocka_unit_test(test_no_tokenizer),    cmocka_unit_test(test_step_bytes),
        cmocka_unit_test(test_cancel_together),
    };
    return check_run(tests);
}
