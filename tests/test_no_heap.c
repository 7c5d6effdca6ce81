/* SPDX-License-Identifier: Apache-2.0
 *
 * After moxie_init the library allocates nothing, maps nothing and creates no OpenCL object: this program puts itself
 * in front of malloc and mmap and counts what the thread that calls the library asks of them. What a driver does inside
 * of a cl* call is its own affair; tests/fake_opencl.c knows when that is. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, syscall */
#include "tests/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/engine_kit.h"
#include "tests/fake_opencl.h"

#if defined(__SANITIZE_ADDRESS__)
static void test_nothing(void **state) {
    (void)state;
    skip(); /* the sanitizer has taken malloc already */
}
static const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};
#else

/* ---- In front of the C library ---- */

static _Thread_local bool watched;
static struct { long heap, maps; } counted;

static void count(long *counter) {
    if (watched && !fake.inside) {
        ++*counter;
    }
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the short names are ours */
/* glibc's own names for what we stand in front of. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n) {
    count(&counted.heap);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    count(&counted.heap);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    count(&counted.heap);
    return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n) {
    count(&counted.heap);
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    return memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n) {
    void *p = memalign(alignment, n);
    if (p) {
        *out = p;
    }
    return p ? 0 : ENOMEM;
}

void free(void *p) {
    count(&counted.heap);
    __libc_free(p);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    count(&counted.maps);
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset); // NOLINT(performance-no-int-to-ptr)
}

int munmap(void *at, size_t n) {
    count(&counted.maps);
    return (int)syscall(SYS_munmap, at, n);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* ---- What is counted ---- */

static long creates;

static void watch(void) {
    memset(&counted, 0, sizeof counted);
    creates = fake.creates;
    watched = true;
}

static void check_nothing(const char *what) {
    watched = false;
    if (counted.heap || counted.maps || fake.creates != creates) {
        fail_msg("%s: %ld heap calls, %ld of mmap, %ld OpenCL objects", what, counted.heap, counted.maps,
                 fake.creates - creates);
    }
}

/* The counters count, in this program and through a library that it links. */
static void test_counters(void **state) {
    (void)state;
    watch();
    void *p = malloc(10), *q = realloc(p, 20);
    free(q);
    free(strdup("x"));
    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 4096);
    fake.inside = 1;
    free(malloc(10));
    fake.inside = 0;
    watched = false;
    assert_int_equal(counted.heap, 5);
    assert_int_equal(counted.maps, 2);
}

/* ---- The life of an engine ---- */

static int32_t sample(struct kit *kit, uint32_t position) {
    struct moxie_sampling sampling = MOXIE_SAMPLING;
    int32_t token = -1;
    sampling.temperature = 0.8f;
    sampling.top_k = 20;
    sampling.top_p = 0.9f;
    sampling.min_p = 0.01f;
    sampling.repetition_penalty = 1.1f;
    sampling.seed = 7;
    check_ok(moxie_sample(kit->engine, 0, &sampling, position, &token, &kit->failure), kit->failure);
    return token;
}

static void decode(struct kit *kit, uint32_t steps) {
    struct moxie_text text = {{0}};
    char bytes[512];
    size_t n;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t length = moxie_sequence_length(kit->engine, 0);
        int32_t token = sample(kit, length);
        check_ok(moxie_decode(kit->engine, &text, token, bytes, sizeof bytes, &n, &kit->failure), kit->failure);
        struct moxie_entry entry = {.position = length, .token = token, .want_logits = 1};
        check_ok(moxie_step(kit->engine, &entry, 1, &kit->failure), kit->failure);
    }
    check_error(moxie_decode(kit->engine, &text, (int32_t)kit->model.vocab, bytes, sizeof bytes, &n, &kit->failure),
                MOXIE_ERROR_TOKEN);
}

static void use(struct kit *kit, const int32_t tokens[KIT_TOKENS]) {
    static const char text[] = "Grüße 12345 <|im_end|> \xe4\xb8\xad\xe6\x96\x87\n and more of it";
    struct moxie_entry entries[2 * 32];
    int32_t ids[256];
    size_t n;

    watch();
    check_ok(moxie_prefill(kit->engine, 0, tokens, KIT_TOKENS, &kit->failure), kit->failure);
    check_nothing("prefill");

    watch();
    decode(kit, KIT_CONTEXT * 2 - KIT_TOKENS - 1);
    check_nothing("a long decode");

    watch();
    check_ok(moxie_sequence_fork(kit->engine, 0, 1, 100, &kit->failure), kit->failure);
    check_ok(moxie_sequence_truncate(kit->engine, 0, 100, &kit->failure), kit->failure);
    kit_entries(entries, 0, 100, tokens, 32, false);
    kit_entries(entries + 32, 1, 100, tokens + 40, 32, true);
    check_ok(moxie_step(kit->engine, entries, 64, &kit->failure), kit->failure);
    check_nothing("fork, truncate, two sequences");

    watch();
    check_ok(moxie_encode(kit->engine, text, sizeof text - 1, 1, ids, 256, &n, &kit->failure), kit->failure);
    check_ok(moxie_encode(kit->engine, text, sizeof text - 1, 0, ids, 256, &n, &kit->failure), kit->failure);
    check_ok(moxie_chat_turn(kit->engine, MOXIE_CHAT_AT_START, "user", text, sizeof text - 1, 1, ids, 256, &n,
                             &kit->failure),
             kit->failure);
    check_nothing("encode, chat turn");

    watch();
    check_error(moxie_step(kit->engine, entries, 64, &kit->failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_sequence_truncate(kit->engine, 0, 1000, &kit->failure), MOXIE_ERROR_SEQUENCE);
    check_error(moxie_encode(kit->engine, "\xff", 1, 0, ids, 256, &n, &kit->failure), MOXIE_ERROR_TEXT);
    check_nothing("errors");

    watch();
    check_ok(moxie_sequence_truncate(kit->engine, 0, 0, &kit->failure), kit->failure);
    check_ok(moxie_sequence_truncate(kit->engine, 1, 0, &kit->failure), kit->failure);
    check_ok(moxie_prefill(kit->engine, 0, tokens, 10, &kit->failure), kit->failure);
    decode(kit, 5);
    check_nothing("reset and start over");
}

static void check_engine(enum pk_weights weights, bool discrete) {
    struct kit kit = {.engine = NULL};
    int32_t tokens[KIT_TOKENS];
    struct moxie_config config = kit_config();
    fake_reset();
    if (discrete) {
        kit_discrete();
    }
    config.context = 2 * KIT_CONTEXT;
    config.step_tokens = 64;
    config.step_logits = 32;
    kit_open(&kit, "moe-sparse-step", weights);
    kit_start(&kit, &config);
    kit_tokens("moe-sparse-step", tokens);
    use(&kit, tokens);
    kit_close(&kit);
    assert_int_equal(fake_live(), 0);
}

static void test_int4(void **state) {
    (void)state;
    check_engine(PK_WEIGHTS_INT4, false);
}

static void test_float(void **state) {
    (void)state;
    check_engine(PK_WEIGHTS_KEEP, false);
}

static void test_discrete(void **state) {
    (void)state;
    check_engine(PK_WEIGHTS_INT4, true);
}

/* Opening and verifying on the host take what mbedTLS wants from a fixed pool; a bundle in memory is not even mapped.
 * Init maps once, what the caller did not give. */
static void test_open_and_init(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_bundle handle;
    struct moxie_config config = kit_config();
    (void)state;
    fake_reset();
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    const struct mx_bundle *b = mx_bundle_of(&kit.bundle);
    const struct moxie_key key = kit_key();
    struct moxie_trust trust = MOXIE_TRUST;
    trust.keys = 1;
    trust.key = &key;
    watch();
    check_ok(moxie_bundle_open_memory(&handle, b->bytes, (size_t)b->size, &trust, &kit.failure), kit.failure);
    check_ok(moxie_bundle_verify(&handle, NULL, NULL, &kit.failure), kit.failure);
    moxie_bundle_close(&handle);
    check_nothing("open and verify");

    watch();
    check_ok(moxie_init(&kit.engine, &kit.bundle, &config, NULL, NULL, &kit.failure), kit.failure);
    watched = false;
    assert_int_equal(counted.heap, 0);
    assert_int_equal(counted.maps, 1);
    watch();
    moxie_close(kit.engine);
    watched = false;
    kit.engine = NULL;
    assert_int_equal(counted.heap, 0);
    assert_int_equal(counted.maps, 1);
    kit_close(&kit);
    assert_int_equal(fake_live(), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_counters), cmocka_unit_test(test_int4),          cmocka_unit_test(test_float),
    cmocka_unit_test(test_discrete), cmocka_unit_test(test_open_and_init),
};
#endif

int main(void) {
    return check_run(tests);
}
