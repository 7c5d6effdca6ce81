/* SPDX-License-Identifier: Apache-2.0
 *
 * Which format a matrix gets: what the options ask, what is never quantised again, and what one tensor of several
 * formats becomes. */
#include "tests/check.h"

#include "pack/coding.h"

enum { I4 = MX_FORMAT_I4, IZ = MX_FORMAT_I4Z, IM = MX_FORMAT_I4M, I8 = MX_FORMAT_I8, BF = MX_FORMAT_BF16 };
enum { HF = MX_FORMAT_F16, SG = MX_FORMAT_F32 };

static void int4_is_never_quantised_again(void **state) {
    (void)state;
    static const struct {
        enum pk_type type;
        bool head;
        uint32_t keep, int4, int8, f16;
    } cases[] = {
        {PK_F32, false, SG, I4, I8, HF},  {PK_F32, true, SG, I8, I8, HF},   {PK_F16, false, HF, I4, I8, HF},
        {PK_F16, true, HF, I8, I8, HF},   {PK_BF16, false, BF, I4, I8, HF}, {PK_BF16, true, BF, I8, I8, HF},
        {PK_Q4_0, false, I4, I4, I4, HF}, {PK_Q4_0, true, I4, I4, I4, HF},  {PK_Q4_1, false, IM, IM, IM, HF},
        {PK_Q4_1, true, IM, IM, IM, HF},  {PK_Q8_0, false, I8, I4, I8, HF}, {PK_Q8_0, true, I8, I8, I8, HF},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pk_tensor t = {.type = cases[i].type};
        const uint32_t role = cases[i].head ? MX_ROLE_HEAD : MX_ROLE_ATTN_OUT;
        const struct {
            enum pk_weights weights;
            uint32_t format;
        } asked[] = {{PK_WEIGHTS_KEEP, cases[i].keep},
                     {PK_WEIGHTS_INT4, cases[i].int4},
                     {PK_WEIGHTS_INT8, cases[i].int8},
                     {PK_WEIGHTS_F16, cases[i].f16}};
        for (size_t k = 0; k < 4; k++) {
            struct pk_pack_options o = {.weights = asked[k].weights, .group = 64};
            struct pk_coding c = pk_coding_of(&o, role, &t);
            assert_int_equal(c.format, asked[k].format);
            /* its own groups where its integers are kept, those asked for where it is quantised here */
            assert_int_equal(c.group, !mx_format_is_integer(c.format) ? 0 : c.kept ? 32 : 64);
            assert_int_equal(c.kept, mx_format_is_integer(pk_coding_stored(&t).format) &&
                                         c.format == pk_coding_stored(&t).format);
            assert_int_equal(pk_coding_of(&o, MX_ROLE_ROUTER, &t).format, MX_FORMAT_F32);
        }
    }
    const struct pk_tensor q8 = {.type = PK_Q8_0};
    struct pk_pack_options o = {.weights = PK_WEIGHTS_INT4, .head_int4 = true};
    assert_int_equal(pk_coding_of(&o, MX_ROLE_EMBEDDING, &q8).format, MX_FORMAT_I4);
}

static void codings_join_to_the_smallest_that_is_exact(void **state) {
    (void)state;
    static const struct {
        struct pk_coding a, b;
        uint32_t format, group;
    } cases[] = {
        {{I4, 32, 1, true}, {I4, 64, 1, false}, I4, 32}, {{I4, 64, 1, true}, {I8, 128, 1, true}, I8, 64},
        {{I4, 64, 1, true}, {IM, 32, 1, true}, IM, 32},  {{IM, 32, 1, true}, {I8, 32, 1, true}, SG, 0},
        {{HF, 0, 0, false}, {BF, 0, 0, false}, SG, 0},   {{HF, 0, 0, false}, {HF, 0, 0, false}, HF, 0},
        {{I8, 32, 1, true}, {HF, 0, 0, false}, SG, 0},   {{I4, 128, 1, true}, {IZ, 64, 1, true}, IZ, 64},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_coding ab = pk_coding_join(cases[i].a, cases[i].b), ba = pk_coding_join(cases[i].b, cases[i].a);
        assert_int_equal(ab.format, cases[i].format);
        assert_int_equal(ab.group, cases[i].group);
        assert_int_equal(ba.format, cases[i].format);
        assert_int_equal(ba.group, cases[i].group);
    }
}

static void a_part_that_begins_inside_a_group_is_widened(void **state) {
    (void)state;
    const struct pk_tensor q4 = {.type = PK_Q4_0, .cols = 96}, f32 = {.type = PK_F32, .cols = 96};
    struct pk_pack_options keep = {0}, int4 = {.weights = PK_WEIGHTS_INT4};
    struct pk_rows rows = {.n = 1, .slice = {{.tensor = &q4, .rows = 16, .first_col = 32, .cols = 32}}};
    assert_int_equal(pk_coding_of_rows(&keep, MX_ROLE_DOWN, &rows).format, MX_FORMAT_I4);
    rows.slice[0].first_col = 24;
    assert_int_equal(pk_coding_of_rows(&keep, MX_ROLE_DOWN, &rows).format, MX_FORMAT_F32);
    rows.slice[0].tensor = &f32; /* what is quantised here gets groups from its own beginning */
    assert_int_equal(pk_coding_of_rows(&int4, MX_ROLE_DOWN, &rows).format, MX_FORMAT_I4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int4_is_never_quantised_again),
        cmocka_unit_test(codings_join_to_the_smallest_that_is_exact),
        cmocka_unit_test(a_part_that_begins_inside_a_group_is_widened),
    };
    return check_run(tests);
}
