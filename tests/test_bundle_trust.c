/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may sign: pinned, revoked and unknown keys, and signatures that are none. */
#include "tests/check.h"

#include <string.h>

#include "tests/bundle_kit.h"

static struct bundle_bytes bundle;

static int set_up(void **state) {
    (void)state;
    bundle = bundle_pack("qwen2", NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bundle_free(&bundle);
    return 0;
}

static struct mx_signature *signature(const struct bundle_bytes *b) {
    return (void *)(b->bytes + bundle_members(b)[1].offset);
}

static enum moxie_error open_with(const struct bundle_bytes *b, const struct pk_key *const *keys, uint32_t n,
                                  const uint8_t (*revoked)[32], uint32_t n_revoked) {
    struct moxie_key pinned[4];
    for (uint32_t i = 0; i < n; i++) {
        memcpy(pinned[i].xy, keys[i]->xy, 64);
    }
    struct moxie_trust trust = {
        .size = sizeof(trust), .keys = n, .key = pinned, .revoked = n_revoked, .revoked_id = revoked};
    struct mx_bundle opened;
    struct moxie_failure f = {0};
    enum moxie_error e = mx_bundle_open(&opened, b->bytes, b->size, &trust, &f);
    assert_int_equal(e, f.code);
    assert_true(e == MOXIE_OK ? opened.bytes == b->bytes : opened.bytes == NULL);
    return e;
}

static void pinned_keys_are_accepted(void **state) {
    (void)state;
    const struct pk_key *keys[] = {&bundle_other_key, &bundle_key};
    check_error(open_with(&bundle, keys, 2, NULL, 0), MOXIE_OK);
    check_error(open_with(&bundle, keys + 1, 1, NULL, 0), MOXIE_OK);
    check_error(open_with(&bundle, keys, 1, NULL, 0), MOXIE_ERROR_KEY_UNKNOWN);
    check_error(open_with(&bundle, NULL, 0, NULL, 0), MOXIE_ERROR_KEY_UNKNOWN);
    struct bundle_bytes other = bundle_copy(&bundle, bundle.size);
    bundle_sign(&other, &bundle_other_key);
    check_error(open_with(&other, keys, 1, NULL, 0), MOXIE_OK);
    check_error(open_with(&other, keys + 1, 1, NULL, 0), MOXIE_ERROR_KEY_UNKNOWN);
    /* a signature of one key under the name of another */
    memcpy(signature(&other)->key_id, signature(&bundle)->key_id, 32);
    check_error(open_with(&other, keys, 2, NULL, 0), MOXIE_ERROR_SIGNATURE);
    bundle_free(&other);
}

static void revoked_keys_are_refused_even_when_pinned(void **state) {
    (void)state;
    const struct pk_key *keys[] = {&bundle_key};
    uint8_t revoked[2][32];
    pk_key_id(bundle_other_key.xy, revoked[0]);
    check_error(open_with(&bundle, keys, 1, (const uint8_t(*)[32])revoked, 1), MOXIE_OK);
    pk_key_id(bundle_key.xy, revoked[1]);
    check_error(open_with(&bundle, keys, 1, (const uint8_t(*)[32])revoked, 2), MOXIE_ERROR_KEY_REVOKED);
    check_error(open_with(&bundle, NULL, 0, (const uint8_t(*)[32])revoked, 2), MOXIE_ERROR_KEY_REVOKED);
}

static void a_pinned_key_off_the_curve_is_named(void **state) {
    (void)state;
    struct pk_key bad = bundle_key;
    bad.xy[5] ^= 1;
    const struct pk_key *keys[] = {&bad};
    struct bundle_bytes b = bundle_copy(&bundle, bundle.size);
    pk_key_id(bad.xy, signature(&b)->key_id);
    check_error(open_with(&b, keys, 1, NULL, 0), MOXIE_ERROR_KEY_INVALID);
    bundle_free(&b);
}

static void numbers_that_are_no_signature_are_refused(void **state) {
    (void)state;
    /* the order of the curve (SEC 2, 2.4.2) */
    static const uint8_t order[32] = {0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0,    0xFF, 0xFF, 0xFF,
                                      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
                                      0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};
    const struct pk_key *keys[] = {&bundle_key};
    for (int i = 0; i < 6; i++) {
        struct bundle_bytes b = bundle_copy(&bundle, bundle.size);
        uint8_t *rs = signature(&b)->rs;
        if (i % 3 != 1) { /* r, s, both */
            memset(rs, 0, 32);
            memcpy(rs, order, i < 3 ? 0 : 32);
        }
        if (i % 3 != 0) {
            memset(rs + 32, 0, 32);
            memcpy(rs + 32, order, i < 3 ? 0 : 32);
        }
        check_error(open_with(&b, keys, 1, NULL, 0), MOXIE_ERROR_SIGNATURE);
        bundle_free(&b);
    }
}

static void the_signature_of_another_manifest_is_refused(void **state) {
    (void)state;
    const struct pk_key *keys[] = {&bundle_key};
    struct pk_pack_options o = {.security_counter = 7};
    struct bundle_bytes b = bundle_pack("qwen2", &o);
    check_error(open_with(&b, keys, 1, NULL, 0), MOXIE_OK);
    memcpy(signature(&b)->rs, signature(&bundle)->rs, 64);
    check_error(open_with(&b, keys, 1, NULL, 0), MOXIE_ERROR_SIGNATURE);
    bundle_free(&b);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    struct mx_bundle opened;
    struct moxie_failure f;
    struct moxie_key key;
    memcpy(key.xy, bundle_key.xy, 64);
    struct moxie_trust trust = {.size = sizeof(trust), .keys = 1, .key = &key};
    check_error(mx_bundle_open(&opened, NULL, bundle.size, &trust, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_bundle_open(&opened, bundle.bytes, bundle.size, NULL, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_bundle_open(&opened, bundle.bytes + 4, bundle.size - 4, &trust, &f), MOXIE_ERROR_ARGUMENT);
    trust.key = NULL;
    check_error(mx_bundle_open(&opened, bundle.bytes, bundle.size, &trust, &f), MOXIE_ERROR_ARGUMENT);
    trust.keys = 0;
    trust.revoked = 1;
    check_error(mx_bundle_open(&opened, bundle.bytes, bundle.size, &trust, &f), MOXIE_ERROR_ARGUMENT);
    trust.revoked = 0;
    trust.size--;
    check_error(mx_bundle_open(&opened, bundle.bytes, bundle.size, &trust, &f), MOXIE_ERROR_VERSION);
    trust.size++;
    trust.keys = 1;
    trust.key = &key;
    check_error(mx_bundle_open(&opened, bundle.bytes, bundle.size, &trust, NULL), MOXIE_OK); /* nobody listens */
    check_error(mx_bundle_open(&opened, bundle.bytes, 700, &trust, NULL), MOXIE_ERROR_TRUNCATED);
    check_error(mx_bundle_open(&opened, bundle.bytes + 1, 0, &trust, NULL), MOXIE_ERROR_TRUNCATED);
    check_error(mx_bundle_open(&opened, NULL, 0, &trust, NULL), MOXIE_ERROR_TRUNCATED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_keys_are_accepted),
        cmocka_unit_test(revoked_keys_are_refused_even_when_pinned),
        cmocka_unit_test(a_pinned_key_off_the_curve_is_named),
        cmocka_unit_test(numbers_that_are_no_signature_are_refused),
        cmocka_unit_test(the_signature_of_another_manifest_is_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
