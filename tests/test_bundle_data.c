/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles whose tables are right and whose bytes are not: archive headers that other readers would take, parts
 * exchanged for others of the same shape, and numbers that cannot be computed with, hashed and signed. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bundle_kit.h"

static struct bundle_bytes intact;

static int set_up(void **state) {
    (void)state;
    intact = bundle_pack("moe-sparse-step", NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bundle_free(&intact);
    return 0;
}

/* Sets bytes of a header and makes its checksum right again. */
static void change_header(uint8_t *header, size_t at, const void *bytes, size_t n) {
    memcpy(header + at, bytes, n);
    memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) {
        sum += header[i];
    }
    snprintf((char *)header + 148, 7, "%06o", sum);
    header[154] = 0;
}

static void headers_that_mean_something_else_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
    } changes[] = {
        {156, "1", 1},
        {156, "2", 1},
        {156, "3", 1},
        {156, "5", 1},
        {156, "6", 1}, /* links, devices */
        {156, "x", 1},
        {156, "g", 1},
        {156, "L", 1},
        {156, "K", 1},
        {156, "S", 1},
        {156, "\0", 1},                                              /* extensions */
        {100, "000755", 6},                                          /* mode */
        {108, "000001", 6},                                          /* owner */
        {136, "00000000001", 11},                                    /* time */
        {124, "\x80\0\0\0\0\0\0\0\0\0\x10\0", 12},                   /* base 256 */
        {124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0\0", 12}, /* negative */
        {124, "           ", 11},                                    /* blank size */
        {124, "0000000000x", 11},                                    /* not octal */
        {124, "+0000001000", 11},
        {135, "\0", 1}, /* ends in NUL instead of a blank */
        {0, "../x", 4}, /* names */
        {0, "/", 1},
        {99, "x", 1},
        {157, "manifest", 8},         /* link name */
        {257, "ustar  \0", 8},        /* GNU */
        {257, "\0\0\0\0\0\0\0\0", 8}, /* before POSIX */
        {265, "root", 4},             /* owner's name */
        {345, "folder", 6},           /* prefix of the name */
        {500, "x", 1},
    };
    for (uint32_t m = 0; m < bundle_manifest(&intact)->members; m += 2) {
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
            struct bundle_bytes b = bundle_copy(&intact, intact.size);
            struct mx_bundle bundle;
            struct moxie_failure f = {0};
            uint64_t header = bundle_members(&b)[m].offset - 512;
            change_header(b.bytes + header, changes[i].at, changes[i].bytes, changes[i].n);
            if (bundle_open(&b, &bundle, &f) != MOXIE_ERROR_FORMAT || f.offset / 512 != header / 512) {
                fail_msg("member %u, change %zu: %s %s", m, i, moxie_error_name(f.code), f.what);
            }
            bundle_free(&b);
        }
    }
}

static void exchange(uint8_t *a, uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

static void parts_do_not_fit_other_places(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_copy(&intact, intact.size);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    struct mx_segment *s = bundle_segments(&b), *e = s + bundle_layers(&b)[1].first_expert;
    uint8_t *tree = b.bytes + bundle_members(&b)[2].offset;
    assert_int_equal(e[0].bytes, e[1].bytes);

    /* two experts, bytes only: found when the bytes are hashed */
    exchange(b.bytes + e[0].offset, b.bytes + e[1].offset, e[0].bytes);
    check_ok(bundle_open(&b, &bundle, &f), f);
    check_error(bundle_check(&b, &f), MOXIE_ERROR_HASH);
    assert_int_equal(f.offset, e[0].offset);
    assert_non_null(strstr(f.what, "layer 1, expert 0"));
    /* and their leaves with them: the root knows its expert */
    exchange(tree + 32 * e[0].first_leaf, tree + 32 * e[1].first_leaf, 32);
    check_error(bundle_open(&b, &bundle, &f), MOXIE_ERROR_HASH);
    assert_int_equal(f.offset, bundle_members(&b)[2].offset + 32 * e[0].first_leaf);
    /* and their roots, signed by someone with the key: the index, layer and expert are in the hash */
    exchange(e[0].root, e[1].root, 32);
    bundle_sign(&b, &bundle_key);
    check_error(bundle_open(&b, &bundle, &f), MOXIE_ERROR_HASH);
    bundle_free(&b);

    /* a root in the place of a leaf, a leaf in the place of a root */
    b = bundle_copy(&intact, intact.size);
    s = bundle_segments(&b);
    tree = b.bytes + bundle_members(&b)[2].offset;
    exchange(tree + 32 * s[4].first_leaf, s[4].root, 32);
    bundle_sign(&b, &bundle_key);
    check_error(bundle_open(&b, &bundle, &f), MOXIE_ERROR_HASH);
    bundle_free(&b);

    /* a gate tile and an up tile */
    b = bundle_copy(&intact, intact.size);
    e = bundle_segments(&b) + bundle_layers(&b)[1].first_expert;
    exchange(b.bytes + e->offset, b.bytes + e->offset + 96 * 32, 96 * 32); /* F16, K = 80 padded to 96 */
    check_error(bundle_check(&b, &f), MOXIE_ERROR_HASH);
    bundle_free(&b);
}

static void a_tokenizer_is_checked_when_the_bundle_is_opened(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_copy(&intact, intact.size);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    const struct mx_segment *s = bundle_segments(&b);
    assert_int_equal(s->kind, MX_SEGMENT_TOKENIZER);
    b.bytes[s->offset + 100] ^= 1;
    check_error(bundle_open(&b, &bundle, &f), MOXIE_ERROR_HASH);
    assert_int_equal(f.offset, s->offset);
    /* another tokenizer, hashed and signed, under the name of the first */
    uint8_t name[32];
    memcpy(name, bundle_manifest(&b)->tokenizer_sha256, 32);
    bundle_rehash(&b, 0);
    bundle_sign(&b, &bundle_key);
    check_ok(bundle_open(&b, &bundle, &f), f);
    memcpy(bundle_manifest(&b)->tokenizer_sha256, name, 32);
    bundle_sign(&b, &bundle_key);
    check_error(bundle_open(&b, &bundle, &f), MOXIE_ERROR_TOKENIZER);
    bundle_free(&b);
}

static void the_padding_of_a_segment_is_zero_even_when_signed(void **state) {
    (void)state;
    for (uint32_t i = 0; i < bundle_manifest(&intact)->segments; i++) {
        struct bundle_bytes b = bundle_copy(&intact, intact.size);
        struct moxie_failure f = {0};
        const struct mx_segment *s = &bundle_segments(&b)[i];
        if (s->used < s->bytes) {
            b.bytes[s->offset + s->bytes - 1] = 1;
            bundle_rehash(&b, i);
            bundle_sign(&b, &bundle_key);
            check_error(bundle_check(&b, &f), MOXIE_ERROR_FORMAT);
        }
        bundle_free(&b);
    }
}

enum plane { DATA, SCALE, EXTRA };

/* Sets `n` bytes of a plane, hashes and signs; the expected result of verifying. */
static void set_value(const char *name, enum pk_weights weights, uint32_t role, enum plane plane, size_t at,
                      uint32_t value, size_t n, enum moxie_error expected) {
    struct pk_pack_options o = {.weights = weights};
    struct bundle_bytes b = bundle_pack(name, &o);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    const uint32_t layer = role <= MX_ROLE_INV_FREQ ? MX_NONE : 1;
    const struct mx_tensor *t = mx_bundle_find(&bundle, role, layer, 0);
    assert_non_null(t);
    const uint32_t segment = t->segment + t->segments - 1; /* the last expert */
    const uint32_t offset = plane == DATA ? t->data : plane == SCALE ? t->scale : t->extra;
    assert_int_not_equal(offset, MX_NONE);
    const uint64_t place = bundle.segments[segment].offset + offset + at * n;
    memcpy(b.bytes + place, &value, n);
    bundle_rehash(&b, segment);
    bundle_sign(&b, &bundle_key);
    check_ok(bundle_open(&b, &bundle, &f), f);
    f.code = MOXIE_OK;
    if (bundle_check(&b, &f) != expected || (expected && f.offset != place)) {
        fail_msg("%s, role %u, plane %d = %x: expected '%s', got '%s' %s", name, role, plane, value,
                 moxie_error_name(expected), moxie_error_name(f.code), f.what);
    }
    bundle_free(&b);
}

static void numbers_that_cannot_be_are_refused_even_when_signed(void **state) {
    (void)state;
    const enum moxie_error bad = MOXIE_ERROR_MODEL, ok = MOXIE_OK;
    static const char moe[] = "moe-f32";
    /* float32 vectors and matrices: NaN, infinities, -0, subnormal, just below 2^-40; 2^-40 itself is fine */
    static const uint32_t singles[] = {0x7fc00000, 0xff800000, 0x7f800000, 0x80000000, 0x00000001, 0x2b7fffff};
    for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
        set_value(moe, PK_WEIGHTS_F32, MX_ROLE_FFN_NORM, DATA, 3, singles[i], 4, bad);
    }
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_ROUTER, DATA, 5, 0x7fc00000, 4, bad);
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_QKV_BIAS, DATA, 7, 0x7f800000, 4, bad);
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_INV_FREQ, DATA, 1, 0xffffffff, 4, bad);
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_DOWN, DATA, 9, 0x7f800001, 4, bad);
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_DOWN, DATA, 9, 0x2b800000, 4, ok);
    set_value(moe, PK_WEIGHTS_F32, MX_ROLE_DOWN, DATA, 9, 0, 4, ok);
    /* bfloat16 and half */
    set_value(moe, PK_WEIGHTS_BF16, MX_ROLE_GATE_UP, DATA, 2, 0x7fc0, 2, bad);
    set_value(moe, PK_WEIGHTS_BF16, MX_ROLE_GATE_UP, DATA, 2, 0x0001, 2, bad);
    set_value(moe, PK_WEIGHTS_BF16, MX_ROLE_GATE_UP, DATA, 2, 0x2b80, 2, ok);
    set_value(moe, PK_WEIGHTS_F16, MX_ROLE_QKV, DATA, 2, 0x7c00, 2, bad);
    set_value(moe, PK_WEIGHTS_F16, MX_ROLE_QKV, DATA, 2, 0xfe00, 2, bad);
    set_value(moe, PK_WEIGHTS_F16, MX_ROLE_QKV, DATA, 2, 0x8000, 2, bad);
    set_value(moe, PK_WEIGHTS_F16, MX_ROLE_QKV, DATA, 2, 0x0001, 2, ok); /* 2^-24 */
    /* scales, codes */
    set_value(moe, PK_WEIGHTS_INT4, MX_ROLE_GATE_UP, SCALE, 1, 0x7e00, 2, bad);
    set_value(moe, PK_WEIGHTS_INT4, MX_ROLE_DOWN, SCALE, 1, 0xfc00, 2, bad);
    set_value(moe, PK_WEIGHTS_INT4, MX_ROLE_DOWN, SCALE, 1, 0xb800, 2, ok); /* negative */
    set_value(moe, PK_WEIGHTS_INT8, MX_ROLE_ATTN_OUT, DATA, 4, 0x80, 1, bad);
    set_value(moe, PK_WEIGHTS_INT8, MX_ROLE_ATTN_OUT, DATA, 4, 0x81, 1, ok);
    set_value(moe, PK_WEIGHTS_INT8, MX_ROLE_EMBEDDING, SCALE, 0, 0x7c00, 2, bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_mean_something_else_are_refused),
        cmocka_unit_test(parts_do_not_fit_other_places),
        cmocka_unit_test(a_tokenizer_is_checked_when_the_bundle_is_opened),
        cmocka_unit_test(the_padding_of_a_segment_is_zero_even_when_signed),
        cmocka_unit_test(numbers_that_cannot_be_are_refused_even_when_signed),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
