/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles, read back by the formulas of pack/SPEC.md section 6 and compared with the checkpoint's values. */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pack/encode.h"
#include "pack/pk_file.h"
#include "pack/quantise.h"
#include "tests/importer_files.h"

struct form {
    uint32_t format, group;
};

/* A checkpoint of one tensor, in a file. */
struct fixture {
    char *folder;
    struct pk_file file;
    struct pk_source source;
    struct pk_tensor tensor;
    struct pk_pack_options options;
};

static uint32_t random_state = 1;
static uint32_t random_bits(void) {
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static void put_half(uint8_t *p, float value) {
    uint16_t h = pk_half_from_f32(value);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* Random rows of a type, with scales and minimums of either sign. */
static struct fixture make(enum pk_type type, uint64_t rows, uint64_t cols) {
    struct fixture x = {.folder = make_folder()};
    const uint64_t row_bytes = cols / pk_type_elements(type) * pk_type_bytes(type);
    uint8_t *data = calloc(rows, row_bytes);
    assert_non_null(data);
    for (uint64_t i = 0; i < rows * row_bytes; i++) {
        data[i] = (uint8_t)random_bits();
    }
    for (uint64_t at = 0; at < rows * row_bytes; at += pk_type_bytes(type)) {
        const float scale = ((float)(random_bits() % 2001) - 1000) * 0x1p-13f;
        if (type == PK_F32) {
            memcpy(data + at, &scale, 4);
        } else if (type == PK_BF16) {
            uint16_t b = pk_bf16_from_f32(scale);
            memcpy(data + at, &b, 2);
        } else {
            put_half(data + at, scale);
        }
        if (type == PK_Q4_1) {
            put_half(data + at + 2, scale * -7.3f);
        }
        for (uint64_t i = 2; type == PK_Q8_0 && i < 34 && at + i < rows * row_bytes; i++) {
            data[at + i] &= 0x7f; /* not -128 */
        }
    }
    write_file(in_folder(x.folder, "weights"), data, rows * row_bytes);
    free(data);
    struct pk_error e = {0};
    assert_true(pk_file_open(&x.file, in_folder(x.folder, "weights"), &e));
    x.tensor =
        (struct pk_tensor){.name = "w", .type = type, .n_dims = 2, .rows = rows, .cols = cols, .row_bytes = row_bytes};
    return x;
}

static void done(struct fixture *x) {
    pk_file_close(&x->file);
    remove_folder(x->folder);
}

static struct pk_encoder encoder(struct fixture *x, uint32_t role, struct form coding, uint64_t rows, uint64_t cols) {
    x->source.files = &x->file;
    x->source.n_files = 1;
    return (struct pk_encoder){
        .source = &x->source,
        .options = &x->options,
        .tensor = {.role = role,
                   .format = coding.format,
                   .group = coding.group,
                   .scale_type = coding.group ? MX_SCALE_F16 : MX_SCALE_NONE,
                   .rows = (uint32_t)rows,
                   .cols = (uint32_t)cols},
        .rows = {.n = 1, .slice = {{.tensor = &x->tensor, .rows = rows, .cols = cols, .factor = 1}}},
    };
}

struct planes {
    struct mx_tensor t;
    uint8_t *data, *scale, *extra;
};

static bool encode(const struct pk_encoder *n, struct planes *p, struct pk_error *e) {
    const struct mx_tensor *t = &n->tensor;
    const uint64_t tiles = mx_tensor_tiles(t), data = mx_tensor_data_bytes(t), scale = mx_tensor_scale_bytes(t),
                   extra = mx_tensor_extra_bytes(t);
    struct pk_tally tally = {0};
    *p = (struct planes){*t, malloc(data), malloc(scale + 1), malloc(extra + 1)};
    memset(p->data, 0xee, data);
    for (uint64_t i = 0; i < tiles; i++) {
        if (!pk_encode_tile(n, i, p->data + i * data / tiles, p->scale + i * scale / tiles,
                            p->extra + i * extra / tiles, &tally, e)) {
            return false;
        }
    }
    return true;
}

static void free_planes(struct planes *p) {
    free(p->data);
    free(p->scale);
    free(p->extra);
}

static double half_at(const uint8_t *p) {
    return pk_half_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* Element (row, col) as section 6 has it; for padding too. */
static double element(const struct planes *p, uint64_t row, uint64_t col) {
    const uint64_t kp = (p->t.cols + 31) / 32 * 32, tile = row / 16, r = row % 16, j = col % 32;
    const uint8_t *at;
    uint32_t bits;
    float f;
    switch (p->t.format) {
    case MX_FORMAT_F32:
        memcpy(&f, p->data + 4 * ((tile * kp + col) * 16 + r), 4);
        return f;
    case MX_FORMAT_F16:
        return half_at(p->data + 2 * ((tile * kp + col) * 16 + r));
    case MX_FORMAT_BF16:
        at = p->data + 2 * ((tile * kp + col) * 16 + r);
        bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 24;
        memcpy(&f, &bits, 4);
        return f;
    default:
        break;
    }
    const uint64_t groups = (p->t.cols + p->t.group - 1) / p->t.group, g = col / p->t.group;
    const double scale = g < groups ? half_at(p->scale + 2 * ((tile * groups + g) * 16 + r)) : 0;
    const uint64_t atom = tile * (kp / 32) + col / 32;
    if (p->t.format == MX_FORMAT_I8) {
        return scale * (int8_t)p->data[atom * 512 + (j / 4 * 16 + r) * 4 + j % 4];
    }
    const uint8_t byte = p->data[atom * 256 + (j % 16 / 4 * 16 + r) * 4 + j % 4];
    const int q = j < 16 ? byte & 15 : byte >> 4;
    return p->t.format == MX_FORMAT_I4 ? scale * (q - 8)
           : g < groups                ? scale * q + half_at(p->extra + 2 * ((tile * groups + g) * 16 + r))
                                       : q;
}

/* The checkpoint's value. */
static double stored(const struct fixture *x, uint64_t row, uint64_t col) {
    float values[1024];
    uint8_t raw[4096];
    struct pk_error e = {0};
    assert_true(pk_source_read_rows(&x->source, &x->tensor, row, 1, raw, &e));
    pk_row_to_f32(x->tensor.type, raw, x->tensor.cols, values);
    return values[col];
}

/* All elements equal the checkpoint's, to within `tolerance` times the row's largest value; padding is zero. */
static void check_all(const struct fixture *x, const struct planes *p, double tolerance) {
    for (uint64_t row = 0; row < (p->t.rows + 15) / 16 * 16; row++) {
        for (uint64_t col = 0; col < (p->t.cols + 31) / 32 * 32; col++) {
            const bool padding = row >= p->t.rows || col >= p->t.cols;
            const double want = padding ? 0 : stored(x, row, col), got = element(p, row, col);
            if (p->t.format == MX_FORMAT_I4M && padding && row < p->t.rows) {
                continue; // behind the last column a row's minimum still applies
            }
            if (!(fabs(got - want) <= tolerance)) {
                fail_msg("type %d as format %u: element %llu, %llu is %g, expected %g", x->tensor.type, p->t.format,
                         (unsigned long long)row, (unsigned long long)col, got, want);
            }
        }
    }
}

static void kept_and_widened_values_are_exact(void **state) {
    (void)state;
    static const struct {
        enum pk_type type;
        struct form coding;
    } cases[] = {
        {PK_Q4_0, {MX_FORMAT_I4, 32}}, {PK_Q4_1, {MX_FORMAT_I4M, 32}}, {PK_Q8_0, {MX_FORMAT_I8, 32}},
        {PK_F16, {MX_FORMAT_F16, 0}},  {PK_BF16, {MX_FORMAT_BF16, 0}}, {PK_F32, {MX_FORMAT_F32, 0}},
        {PK_Q4_0, {MX_FORMAT_I8, 32}}, {PK_Q4_0, {MX_FORMAT_I4M, 32}}, {PK_Q4_0, {MX_FORMAT_F32, 0}},
        {PK_Q4_1, {MX_FORMAT_F32, 0}}, {PK_Q8_0, {MX_FORMAT_F32, 0}},  {PK_F16, {MX_FORMAT_F32, 0}},
        {PK_BF16, {MX_FORMAT_F32, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture x = make(cases[i].type, 37, 96);
        struct pk_encoder n = encoder(&x, MX_ROLE_DOWN, cases[i].coding, 37, 96);
        struct planes p;
        struct pk_error e = {0};
        assert_true(encode(&n, &p, &e));
        check_all(&x, &p, 0);
        free_planes(&p);
        done(&x);
    }
}

static void quantised_values_are_near_and_groups_repeat_their_scale(void **state) {
    (void)state;
    for (uint32_t own = 32; own <= 128; own *= 2) {
        for (uint32_t group = 32; group <= own; group *= 2) {
            for (int wide = 0; wide < 3; wide++) {
                struct fixture x = make(PK_F32, 20, 200);
                x.options.weights = wide == 2 ? PK_WEIGHTS_INT8 : PK_WEIGHTS_INT4;
                x.options.group = own;
                static const uint32_t formats[] = {MX_FORMAT_I4, MX_FORMAT_I4M, MX_FORMAT_I8};
                struct pk_encoder n = encoder(&x, MX_ROLE_DOWN, (struct form){formats[wide], group}, 20, 200);
                struct planes p;
                struct pk_error e = {0};
                assert_true(encode(&n, &p, &e));
                check_all(&x, &p, 1000 * 0x1p-13 / (wide == 2 ? 250 : 4));
                const uint64_t groups = (200 + group - 1) / group;
                for (uint64_t g = 0; g < groups; g++) {
                    assert_memory_equal(p.scale + 32 * g, p.scale + 32 * (g - g % (own / group)), 32);
                }
                free_planes(&p);
                done(&x);
            }
        }
    }
}

static void gate_and_up_alternate_and_parts_are_padded(void **state) {
    (void)state;
    /* a shared expert of 40 rows in parts of 24: the second part has 16 rows, padded to 24, padded to 32 */
    struct fixture x = make(PK_F32, 80, 64); /* "gate" is rows 0 .. 39, "up" rows 40 .. 79 of one tensor */
    for (uint64_t part = 0; part < 2; part++) {
        const uint64_t first = part * 24, rows = part ? 16 : 24;
        struct pk_encoder n = encoder(&x, MX_ROLE_GATE_UP, (struct form){MX_FORMAT_F32, 0}, 64, 64);
        n.rows = (struct pk_rows){
            .interleaved = true,
            .n = 2,
            .slice = {{&x.tensor, first, rows, 0, 64, 1, 0}, {&x.tensor, 40 + first, rows, 0, 64, 1, 0}}};
        struct planes p;
        struct pk_error e = {0};
        assert_true(encode(&n, &p, &e));
        for (uint64_t row = 0; row < 64; row++) {
            const uint64_t unit = row / 32 * 16 + row % 16, up = row / 16 % 2;
            const double want = unit < rows ? stored(&x, up * 40 + first + unit, 5) : 0;
            assert_true(element(&p, row, 5) == want);
        }
        free_planes(&p);
    }
    done(&x);
    /* its down projection: columns 24 .. 39 of 40, in a part of 24 columns */
    x = make(PK_BF16, 16, 40);
    struct pk_encoder n = encoder(&x, MX_ROLE_DOWN, (struct form){MX_FORMAT_BF16, 0}, 16, 24);
    n.rows.slice[0] = (struct pk_slice){&x.tensor, 0, 16, 24, 16, 1, 0};
    struct planes p;
    struct pk_error e = {0};
    assert_true(encode(&n, &p, &e));
    for (uint64_t col = 0; col < 32; col++) {
        assert_true(element(&p, 3, col) == (col < 16 ? stored(&x, 3, 24 + col) : 0));
    }
    free_planes(&p);
    done(&x);
}

static void tensors_follow_each_other_in_one_matrix(void **state) {
    (void)state;
    struct fixture x = make(PK_Q4_1, 50, 64);
    struct pk_encoder n = encoder(&x, MX_ROLE_QKV, (struct form){MX_FORMAT_I4M, 32}, 34, 64);
    n.rows = (struct pk_rows){
        .n = 3,
        .slice = {{&x.tensor, 30, 20, 0, 64, 1, 0}, {&x.tensor, 0, 3, 0, 64, 1, 0}, {&x.tensor, 5, 27, 0, 64, 1, 0}}};
    n.tensor.row_offset = 16; /* the second of two tensors */
    struct planes p;
    struct pk_error e = {0};
    assert_true(encode(&n, &p, &e));
    for (uint64_t row = 0; row < 34; row++) {
        const uint64_t whole = row + 16, from = whole < 20 ? 30 + whole : whole < 23 ? whole - 20 : whole - 23 + 5;
        assert_true(element(&p, row, 40) == stored(&x, from, 40));
    }
    free_planes(&p);
    done(&x);
}

/* Spoils bytes of the file; encoding must fail with a text that names `place`. */
static void refuse(enum pk_type type, struct form coding, enum pk_weights weights, uint64_t at, const void *bytes,
                   size_t n_bytes, int code, const char *place) {
    struct fixture x = make(type, 20, 64);
    struct bytes file = read_whole(in_folder(x.folder, "weights"));
    memcpy(file.data + at, bytes, n_bytes);
    write_file(in_folder(x.folder, "weights"), file.data, file.n);
    free_bytes(&file);
    pk_file_close(&x.file);
    struct pk_error e = {0};
    assert_true(pk_file_open(&x.file, in_folder(x.folder, "weights"), &e));
    x.options.weights = weights;
    struct pk_encoder n = encoder(&x, MX_ROLE_DOWN, coding, 20, 64);
    struct planes p;
    assert_false(encode(&n, &p, &e));
    check_pk_error(&e, code, place);
    free_planes(&p);
    done(&x);
}

static void what_is_not_finite_is_refused_by_name(void **state) {
    (void)state;
    static const uint32_t nan = 0x7fc00000, infinite = 0xff800000, large = 0x47ffffff; /* 131071.99 */
    const struct form i4 = {MX_FORMAT_I4, 32}, i4m = {MX_FORMAT_I4M, 32}, i8 = {MX_FORMAT_I8, 32};
    const struct form f32 = {MX_FORMAT_F32, 0}, f16 = {MX_FORMAT_F16, 0};
    const int bad = MOXIE_ERROR_NOT_FINITE;
    const char *place = "tensor \"w\", row 17, column 9";
    const uint64_t at = 4 * (17 * 64 + 9);
    refuse(PK_F32, f32, PK_WEIGHTS_KEEP, at, &nan, 4, bad, place);
    refuse(PK_F32, i4, PK_WEIGHTS_INT4, at, &nan, 4, bad, place);
    refuse(PK_F32, i8, PK_WEIGHTS_INT8, at, &infinite, 4, bad, place);
    refuse(PK_F32, f16, PK_WEIGHTS_F16, at, &large, 4, bad, place);
    refuse(PK_F32, i8, PK_WEIGHTS_INT8, at, "\xff\xff\x7f\x7f", 4, bad, "tensor \"w\", row 17, column 0: a scale");
    /* scales and minimums of the second block in row 17 */
    place = "tensor \"w\", row 17, column 32";
    refuse(PK_Q4_0, i4, PK_WEIGHTS_KEEP, 18 * (17 * 2 + 1), "\x00\x7e", 2, bad, place);
    refuse(PK_Q4_1, i4m, PK_WEIGHTS_KEEP, 20 * (17 * 2 + 1), "\x00\xfc", 2, bad, place);
    refuse(PK_Q4_1, i4m, PK_WEIGHTS_KEEP, 20 * (17 * 2 + 1) + 2, "\x01\x7c", 2, bad, place);
    refuse(PK_Q8_0, i8, PK_WEIGHTS_KEEP, 34 * (17 * 2 + 1), "\x00\x7c", 2, bad, place);
    refuse(PK_Q4_1, f32, PK_WEIGHTS_F32, 20 * (17 * 2 + 1) + 2, "\x01\x7c", 2, bad, place);
    /* a minimum of -8 times this scale is beyond the halfs */
    refuse(PK_Q4_0, i4m, PK_WEIGHTS_KEEP, 18 * (17 * 2 + 1), "\x00\x78", 2, bad, "a minimum");
    /* a code without a positive counterpart */
    refuse(PK_Q8_0, i8, PK_WEIGHTS_KEEP, 34 * (17 * 2 + 1) + 2 + 5, "\x80", 1, MOXIE_ERROR_BOUNDS,
           "tensor \"w\", row 17, column 37: the code is -128");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_widened_values_are_exact),
        cmocka_unit_test(quantised_values_are_near_and_groups_repeat_their_scale),
        cmocka_unit_test(gate_and_up_alternate_and_parts_are_padded),
        cmocka_unit_test(tensors_follow_each_other_in_one_matrix),
        cmocka_unit_test(what_is_not_finite_is_refused_by_name),
    };
    return check_run(tests);
}
