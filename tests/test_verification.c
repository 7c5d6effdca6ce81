/* SPDX-License-Identifier: Apache-2.0
 *
 * What the public functions of a bundle promise a product: nothing runs unverified, also when the file changes while it
 * is open, and an older bundle is not accepted again. */
#include "tests/check.h"

#include <string.h>

#include "opencl/moxie_device.h" /* a device takes part: see MEMCHECK_T in the Makefile */
#include "runtime/moxie.h"
#include "tests/bundle_kit.h"

/* A product's store of one counter. */
struct store {
    uint64_t counter;
    int calls, fails;
};

static uint64_t load(void *user, const char *model) {
    assert_string_equal(model, "test");
    return ((struct store *)user)->counter;
}

static int store(void *user, const char *model, uint64_t counter) {
    struct store *s = user;
    assert_string_equal(model, "test");
    s->calls++;
    if (!s->fails)
        s->counter = counter;
    return s->fails;
}

static struct bundle_bytes packed(uint64_t counter) {
    return bundle_pack("moe-sparse-step", &(struct pk_pack_options){.id = "test", .security_counter = counter});
}

static enum moxie_error open_for(struct store *s, const struct bundle_bytes *b, struct moxie_bundle *bundle,
                                 struct moxie_failure *f) {
    struct moxie_key key;
    memcpy(key.xy, bundle_key.xy, sizeof key.xy);
    struct moxie_trust trust = MOXIE_TRUST;
    trust.keys = 1;
    trust.key = &key;
    trust.user = s;
    trust.counter_load = s ? load : NULL;
    trust.counter_store = s ? store : NULL;
    return moxie_bundle_open_memory(bundle, b->bytes, b->size, &trust, f);
}

/* An engine is made and closed again. */
static enum moxie_error init(const struct moxie_bundle *bundle, uint32_t no_verify, struct moxie_failure *f) {
    struct moxie *engine;
    struct moxie_config config = MOXIE_CONFIG;
    config.context = 64;
    config.step_tokens = 8;
    config.no_verify = no_verify;
    const enum moxie_error e = moxie_init(&engine, bundle, &config, NULL, NULL, f);
    moxie_close(engine);
    return e;
}

static enum moxie_error on_host(struct moxie_bundle *bundle, struct moxie_failure *f) {
    return moxie_bundle_verify(bundle, NULL, NULL, f);
}

static enum moxie_error on_device(struct moxie_bundle *bundle, struct moxie_failure *f) {
    return init(bundle, 0, f);
}

static enum moxie_error (*const verify[])(struct moxie_bundle *, struct moxie_failure *) = {on_host, on_device};

static void counters_only_grow(void **state) {
    (void)state;
    struct bundle_bytes five = packed(5), seven = packed(7);
    struct moxie_failure f;
    for (int way = 0; way < 2; way++) {
        struct moxie_bundle older, newer;
        struct store s = {.counter = 3};
        check_ok(open_for(&s, &five, &older, &f), f);
        check_ok(open_for(&s, &seven, &newer, &f), f);
        assert_int_equal(s.calls, 0); /* not before all of it is verified */
        check_ok(verify[way](&newer, &f), f);
        assert_int_equal(s.counter, 7);
        check_error(verify[way](&older, &f), MOXIE_ERROR_ROLLBACK); /* which was open before */
        assert_non_null(strstr(f.what, "counter 5 of model 'test' is below 7"));
        check_ok(verify[way](&newer, &f), f);
        assert_int_equal(s.calls, 1);
        moxie_bundle_close(&older);
        moxie_bundle_close(&newer);
        check_error(open_for(&s, &five, &older, &f), MOXIE_ERROR_ROLLBACK);
        s = (struct store){.counter = 3, .fails = 1};
        check_ok(open_for(&s, &five, &older, &f), f);
        check_error(verify[way](&older, &f), MOXIE_ERROR_ROLLBACK);
        assert_non_null(strstr(f.what, "could not store"));
        moxie_bundle_close(&older);
    }
    bundle_free(&five);
    bundle_free(&seven);
}

static void no_verify_needs_a_verified_bundle(void **state) {
    (void)state;
    struct bundle_bytes b = packed(5);
    struct moxie_failure f;
    for (int way = 0; way < 2; way++) {
        struct moxie_bundle bundle;
        struct store s = {.counter = 3};
        check_ok(open_for(&s, &b, &bundle, &f), f);
        check_error(init(&bundle, 1, &f), MOXIE_ERROR_STATE);
        assert_int_equal(s.counter, 3);
        check_ok(verify[way](&bundle, &f), f);
        check_ok(init(&bundle, 1, &f), f);
        moxie_bundle_close(&bundle);
    }
    bundle_free(&b);
}

static uint32_t last_segment(const struct bundle_bytes *b) {
    return bundle_manifest(b)->segments - 1;
}

static void change_a_weight(const struct bundle_bytes *b) {
    b->bytes[bundle_segments(b)[last_segment(b)].offset] ^= 1;
}

static void change_the_leaf_too(const struct bundle_bytes *b) {
    struct mx_segment *s = &bundle_segments(b)[last_segment(b)];
    uint8_t root[32];
    memcpy(root, s->root, sizeof root);
    change_a_weight(b);
    bundle_rehash(b, last_segment(b));
    memcpy(s->root, root, sizeof root);
}

static void change_the_root_too(const struct bundle_bytes *b) {
    change_a_weight(b);
    bundle_rehash(b, last_segment(b));
}

static void sign_it_too(const struct bundle_bytes *b) {
    change_the_root_too(b);
    bundle_sign(b, &bundle_key);
}

static void a_change_after_opening_is_found(void **state) {
    (void)state;
    static const struct {
        void (*change)(const struct bundle_bytes *);
        enum moxie_error error;
    } cases[] = {{change_a_weight, MOXIE_ERROR_HASH},
                 {change_the_leaf_too, MOXIE_ERROR_HASH},
                 {change_the_root_too, MOXIE_ERROR_SIGNATURE},
                 {sign_it_too, MOXIE_ERROR_SIGNATURE}};
    struct bundle_bytes whole = packed(5);
    struct moxie_failure f;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int way = 0; way < 2; way++) {
            struct bundle_bytes b = bundle_copy(&whole, whole.size);
            struct moxie_bundle bundle;
            struct store s = {.counter = 3};
            check_ok(open_for(&s, &b, &bundle, &f), f);
            if (verify[way] == on_host) { /* what was found before does not count any more */
                check_ok(verify[way](&bundle, &f), f);
                s.counter = 3;
            }
            cases[i].change(&b);
            check_error(verify[way](&bundle, &f), cases[i].error);
            assert_int_equal(s.counter, 3);
            check_error(init(&bundle, 1, &f), MOXIE_ERROR_STATE);
            moxie_bundle_close(&bundle);
            bundle_free(&b);
        }
    }
    bundle_free(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_only_grow),
        cmocka_unit_test(no_verify_needs_a_verified_bundle),
        cmocka_unit_test(a_change_after_opening_is_found),
    };
    return check_run(tests);
}
