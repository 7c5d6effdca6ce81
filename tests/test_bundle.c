/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles as the packer writes them: opened, searched, verified; the same bytes every time; and every kind of damage
 * on the way to the reader is noticed. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bundle_kit.h"

static const char *const cases[] = {"moe-f32",          "moe-norm-tied", "moe-sparse-step",
                                    "moe-dead-sharded", "qwen2",         "llama"};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void every_checkpoint_in_every_type_opens_and_verifies(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        for (int w = PK_WEIGHTS_KEEP; w <= PK_WEIGHTS_F32; w++) {
            struct pk_pack_options o = {.weights = (enum pk_weights)w, .group = 32u << w % 3};
            struct bundle_bytes b = bundle_pack(cases[i], &o);
            struct moxie_failure f = {0};
            check_ok(bundle_check(&b, &f), f);
            bundle_free(&b);
        }
    }
}

static void tensors_are_found_in_order(void **state) {
    (void)state;
    struct pk_pack_options o = {.segment_max = 65536};
    struct bundle_bytes b = bundle_pack("moe-sparse-step", &o);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    uint32_t found = 0;
    for (uint32_t l = 0; l <= bundle.manifest->layers; l++) {
        uint32_t layer = l < bundle.manifest->layers ? l : MX_NONE;
        for (uint32_t role = 0; role <= 20; role++) {
            const struct mx_tensor *t;
            uint32_t row = 0, n = 0;
            while ((t = mx_bundle_find(&bundle, role, layer, n))) {
                assert_int_equal(t->role, role);
                assert_int_equal(t->layer, layer);
                assert_int_equal(t->row_offset, row);
                row += t->rows;
                n++;
            }
            assert_null(mx_bundle_find(&bundle, role, layer, n + 1));
            assert_null(mx_bundle_find(&bundle, role, layer, UINT32_MAX));
            found += n;
        }
    }
    assert_int_equal(found, bundle.manifest->tensors);
    assert_null(mx_bundle_find(&bundle, MX_ROLE_QKV, bundle.manifest->layers, 0));
    /* layer 0 is dense, layer 1 has experts and a router */
    assert_null(mx_bundle_find(&bundle, MX_ROLE_ROUTER, 0, 0));
    assert_non_null(mx_bundle_find(&bundle, MX_ROLE_ROUTER, 1, 0));
    assert_int_equal(mx_bundle_find(&bundle, MX_ROLE_GATE_UP, 1, 0)->segment, bundle.layers[1].first_expert);
    assert_int_equal(mx_bundle_find(&bundle, MX_ROLE_GATE_UP, 1, 0)->segments, 7 + 3);
    assert_true(mx_bundle_segment(&bundle, MX_SEGMENT_TOKENIZER) == bundle.segments);
    assert_null(mx_bundle_segment(&bundle, MX_SEGMENT_LICENSE));
    assert_int_equal(mx_bundle_segment(&bundle, MX_SEGMENT_DENSE)->expert, MX_NONE);
    bundle_free(&b);
}

static void long_matrices_and_members_are_cut(void **state) {
    (void)state;
    struct pk_pack_options o = {.weights = PK_WEIGHTS_F32, .segment_max = 65536, .member_max = 131072};
    struct bundle_bytes b = bundle_pack("moe-norm-tied", &o);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    check_ok(mx_bundle_verify_host(&bundle, 0, bundle.manifest->segments, NULL, NULL, &f), f);
    uint32_t layer_segments = 0, parts = 0;
    for (uint32_t i = 0; i < bundle.manifest->segments; i++) {
        assert_true(bundle.segments[i].bytes <= 65536);
        layer_segments += bundle.segments[i].kind == MX_SEGMENT_LAYER && bundle.segments[i].layer == 0;
    }
    for (uint32_t i = 0; i < bundle.manifest->members; i++) {
        assert_true(bundle.members[i].bytes <= 131072);
        parts += strncmp(bundle.members[i].name, "layer.000", 9) == 0;
    }
    assert_true(layer_segments > 1);
    assert_true(parts > 1);
    bundle_free(&b);
}

static void the_same_input_gives_the_same_bytes(void **state) {
    (void)state;
    struct pk_pack_options o = {.weights = PK_WEIGHTS_INT4, .group = 64, .threads = 1};
    struct bundle_bytes a = bundle_pack("moe-sparse-step", &o);
    o.threads = 5;
    struct bundle_bytes b = bundle_pack("moe-sparse-step", &o);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.bytes, b.bytes, a.size);
    o.security_counter = 1;
    struct bundle_bytes c = bundle_pack("moe-sparse-step", &o);
    assert_int_equal(bundle_manifest(&c)->security_counter, 1);
    assert_memory_not_equal(a.bytes, c.bytes, 4096);
    bundle_free(&a);
    bundle_free(&b);
    bundle_free(&c);
}

static int count_and_stop(void *user, uint64_t done, uint64_t total) {
    uint64_t *calls = user;
    calls[0]++;
    assert_in_range(done, calls[1] + 1, total);
    calls[1] = done;
    return calls[0] == calls[2];
}

static void verification_reports_and_can_be_stopped(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_pack("qwen2", NULL);
    struct mx_bundle bundle;
    struct moxie_failure f = {0};
    check_ok(bundle_open(&b, &bundle, &f), f);
    const uint32_t n = bundle.manifest->segments;
    uint64_t calls[3] = {0};
    check_ok(mx_bundle_verify_host(&bundle, 0, n, count_and_stop, calls, &f), f);
    assert_int_equal(calls[0], n);
    memset(calls, 0, sizeof(calls));
    calls[2] = 2;
    check_error(mx_bundle_verify_host(&bundle, 0, n, count_and_stop, calls, &f), MOXIE_ERROR_CANCELLED);
    assert_int_equal(calls[0], 2);
    check_ok(mx_bundle_verify_host(&bundle, n, 0, NULL, NULL, &f), f);
    check_error(mx_bundle_verify_host(&bundle, n, 1, NULL, NULL, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_bundle_verify_host(&bundle, 1, UINT32_MAX, NULL, NULL, &f), MOXIE_ERROR_ARGUMENT);
    bundle_free(&b);
}

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t n) {
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)random_state * n >> 32);
}

static void a_cut_bundle_is_truncated(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_pack("moe-f32", NULL);
    for (size_t i = 0, size = 0; size < b.size; i++, size = i * 512) {
        /* every 512 bytes, and at a random byte behind */
        for (int k = 0; k < 2; k++) {
            struct bundle_bytes cut = bundle_copy(&b, size + (k && i % 4 == 0 ? 1 + random_below(511) : 0));
            struct mx_bundle bundle;
            struct moxie_failure f = {0};
            enum moxie_error e = bundle_open(&cut, &bundle, &f);
            if (e != MOXIE_ERROR_TRUNCATED || f.offset > cut.size) {
                fail_msg("cut to %zu bytes: %s", cut.size, moxie_error_name(e));
            }
            assert_null(bundle.bytes);
            bundle_free(&cut);
            if (i % 4) {
                break;
            }
        }
    }
    bundle_free(&b);
}

static void bytes_behind_the_end_are_refused(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_pack("qwen2", NULL);
    for (size_t more = 1; more <= 4096; more *= 2) {
        struct bundle_bytes longer = bundle_copy(&b, b.size + more);
        struct mx_bundle bundle;
        struct moxie_failure f = {0};
        check_error(bundle_open(&longer, &bundle, &f), MOXIE_ERROR_FORMAT);
        assert_int_equal(f.offset, b.size);
        bundle_free(&longer);
    }
    bundle_free(&b);
}

/* What a flipped bit at `at` must be called, by the region of the file that it lies in. */
static bool is_expected(const struct bundle_bytes *b, size_t at, enum moxie_error e, const struct moxie_failure *f) {
    const struct mx_member *m = bundle_members(b);
    const struct mx_manifest *manifest = bundle_manifest(b);
    if (at >= 512 && at < 512 + manifest->manifest_bytes) { /* some fields are looked at before the signature */
        bool early = at < 512 + 12 || (at >= 512 + 24 && at < 512 + 32);
        return e == MOXIE_ERROR_SIGNATURE ||
               (early && (e == MOXIE_ERROR_FORMAT || e == MOXIE_ERROR_FORMAT_VERSION || e == MOXIE_ERROR_TRUNCATED));
    }
    if (at >= m[1].offset && at < m[1].offset + m[1].bytes) {
        return e == (at < m[1].offset + 32 ? MOXIE_ERROR_KEY_UNKNOWN : MOXIE_ERROR_SIGNATURE);
    }
    if (at >= m[2].offset && at < m[2].offset + m[2].bytes) {
        return e == MOXIE_ERROR_HASH;
    }
    for (uint32_t i = 0; i < manifest->segments; i++) {
        const struct mx_segment *s = &bundle_segments(b)[i];
        if (at >= s->offset && at < s->offset + s->bytes) { /* named to the leaf */
            return e == MOXIE_ERROR_HASH && f->offset == s->offset + (at - s->offset) / MX_LEAF_BYTES * MX_LEAF_BYTES;
        }
    }
    return e == MOXIE_ERROR_FORMAT && f->offset == at;
}

static void try_flip(const struct bundle_bytes *b, size_t at) {
    struct moxie_failure f = {0};
    uint8_t bit = (uint8_t)(1u << random_below(8));
    b->bytes[at] ^= bit;
    enum moxie_error e = bundle_check(b, &f);
    b->bytes[at] ^= bit;
    if (!is_expected(b, at, e, &f)) {
        fail_msg("bit %u of byte %zu flipped: %s, offset %llu (%s)", bit, at, moxie_error_name(e),
                 (unsigned long long)f.offset, f.what);
    }
}

static void a_flipped_bit_anywhere_is_found_and_placed(void **state) {
    (void)state;
    struct bundle_bytes b = bundle_pack("moe-sparse-step", NULL);
    const struct mx_manifest *m = bundle_manifest(&b);
    for (size_t at = 0; at < 512 + m->manifest_bytes + 512 + 1024; at += 1 + random_below(24)) {
        try_flip(&b, at);
    }
    for (size_t at = 0; at < b.size; at += 512 + random_below(1024)) {
        try_flip(&b, at);
    }
    for (uint32_t i = 0; i < m->members; i++) { /* headers */
        size_t header = bundle_members(&b)[i].offset - 512;
        for (size_t at = 0; at < 512; at += 1 + random_below(40)) {
            try_flip(&b, header + at);
        }
    }
    for (size_t at = b.size - 1024; at < b.size; at += 1 + random_below(64)) { /* the end */
        try_flip(&b, at);
    }
    for (uint32_t i = 0; i < m->segments; i++) { /* the padding of segments */
        const struct mx_segment *s = &bundle_segments(&b)[i];
        if (s->used < s->bytes) {
            try_flip(&b, s->offset + s->bytes - 1);
        }
    }
    struct moxie_failure f = {0};
    check_ok(bundle_check(&b, &f), f);
    bundle_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint_in_every_type_opens_and_verifies),
        cmocka_unit_test(tensors_are_found_in_order),
        cmocka_unit_test(long_matrices_and_members_are_cut),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(verification_reports_and_can_be_stopped),
        cmocka_unit_test(a_cut_bundle_is_truncated),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found_and_placed),
    };
    return check_run(tests);
}
