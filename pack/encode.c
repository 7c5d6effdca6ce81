/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pack/quantise.h"

/* One row on its way into a tile. */
struct row {
    const struct pk_slice *slice;
    uint64_t number;    // in its tensor
    const uint8_t *raw; // as stored, from the tensor's column 0
    float *values;      // [kp] of the slice's columns, zero behind them
    uint8_t *codes;     // [kp] as stored in the data plane; int8 as uint8
    uint16_t *scales;   // [groups] halfs
    uint16_t *extras;   // [groups] halfs
    size_t cols;        // of the slice
};

static void put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static void put_f32(uint8_t *p, float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put32(p, bits);
}

static bool refuse_half(const struct row *r, size_t col, const char *what, struct pk_error *e) {
    return pk_fail(e, MOXIE_ERROR_NOT_FINITE, "tensor \"%s\", row %llu, column %llu: %s is not a finite half",
                   r->slice->tensor->name, (unsigned long long)r->number,
                   (unsigned long long)(r->slice->first_col + col), what);
}

/* The stored values of the slice's columns as float32. */
static bool dequantise(struct row *r, struct pk_error *e) {
    const struct pk_tensor *t = r->slice->tensor;
    const uint64_t block = pk_type_elements(t->type), first = r->slice->first_col, skip = first % block;
    const uint64_t end = (first + r->cols + block - 1) / block * block;
    // The slice may begin inside a block; `values` has room for whole blocks.
    pk_row_to_f32(t->type, r->raw + first / block * pk_type_bytes(t->type), end - (first - skip), r->values);
    memmove(r->values, r->values + skip, r->cols * sizeof(float));
    for (size_t i = 0; i < r->cols; i++) {
        if (!isfinite(r->values[i])) {
            return pk_fail(e, MOXIE_ERROR_NOT_FINITE, "tensor \"%s\", row %llu, column %llu: the value is %s", t->name,
                           (unsigned long long)r->number, (unsigned long long)(first + i),
                           isnan(r->values[i]) ? "not a number" : "infinite");
        }
    }
    return true;
}

static void add_error(struct pk_tally *tally, const float *values, const float *stored, size_t n) {
    double error = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)values[i] - stored[i];
        error += d * d;
        squares += (double)values[i] * values[i];
    }
    tally->squared_error += error;
    tally->squares += squares;
}

/* ---- Integer formats ---- */

/* Sets scale and minimum of the stored groups that own group `own` of `own_group` columns covers; a symmetric code in a
 * format with minimum has the minimum -8 * scale. */
static bool set_scale(const struct pk_encoder *n, struct row *r, size_t own, uint32_t own_group, uint16_t scale,
                      uint16_t minimum, struct pk_error *e) {
    const uint32_t times = own_group / n->tensor.group;
    const size_t groups = (n->tensor.cols + n->tensor.group - 1) / n->tensor.group;
    if (!pk_half_is_finite(scale)) {
        return refuse_half(r, own * own_group, "a scale", e);
    }
    if (!pk_half_is_finite(minimum)) {
        return refuse_half(r, own * own_group, "a minimum", e);
    }
    for (size_t g = own * times; g < (own + 1) * times && g < groups; g++) {
        r->scales[g] = scale == 0x8000u ? 0 : scale;
        r->extras[g] = minimum == 0x8000u ? 0 : minimum;
    }
    return true;
}

/* The minimum of a group with symmetric codes. */
static uint16_t symmetric_minimum(const struct pk_encoder *n, uint16_t scale) {
    return n->tensor.format == MX_FORMAT_I4M ? pk_half_from_f32(-8.0f * pk_half_to_f32(scale)) : 0;
}

/* Codes and scales as the checkpoint has them, in the same or a wider format. */
static bool keep_codes(const struct pk_encoder *n, struct row *r, struct pk_error *e) {
    const enum pk_type type = r->slice->tensor->type;
    const uint8_t *p = r->raw + r->slice->first_col / PK_BLOCK * pk_type_bytes(type);
    for (size_t b = 0; b < r->cols / PK_BLOCK; b++, p += pk_type_bytes(type)) {
        uint8_t *codes = r->codes + b * PK_BLOCK;
        uint16_t scale = get16(p), minimum = 0;
        if (type == PK_Q8_0) {
            for (size_t i = 0; i < PK_BLOCK; i++) {
                codes[i] = p[2 + i];
                if (codes[i] == 0x80) {
                    return pk_fail(e, MOXIE_ERROR_BOUNDS, "tensor \"%s\", row %llu, column %llu: the code is -128",
                                   r->slice->tensor->name, (unsigned long long)r->number,
                                   (unsigned long long)(r->slice->first_col + b * PK_BLOCK + i));
                }
            }
        } else {
            const uint8_t *nibbles = p + (type == PK_Q4_0 ? 2 : 4);
            const uint8_t less = n->tensor.format == MX_FORMAT_I8 ? 8 : 0;
            for (size_t i = 0; i < PK_BLOCK / 2; i++) {
                codes[i] = (uint8_t)((nibbles[i] & 15) - less);
                codes[i + PK_BLOCK / 2] = (uint8_t)((nibbles[i] >> 4) - less);
            }
            minimum = type == PK_Q4_1 ? get16(p + 2) : symmetric_minimum(n, scale);
        }
        if (!set_scale(n, r, b, PK_BLOCK, scale, minimum, e)) {
            return false;
        }
    }
    return true;
}

static bool quantise(const struct pk_encoder *n, struct row *r, struct pk_coding coding, struct pk_tally *tally,
                     struct pk_error *e) {
    if (!dequantise(r, e)) {
        return false;
    }
    for (size_t own = 0, at = 0; at < r->cols; own++, at += coding.group) {
        size_t count = r->cols - at < coding.group ? r->cols - at : coding.group;
        uint8_t *codes = r->codes + at;
        int8_t wide[PK_GROUP_MAX];
        float restored[PK_GROUP_MAX];
        uint16_t scale;
        if (coding.format == MX_FORMAT_I4) {
            scale = pk_quantise_i4(r->values + at, count, codes);
            for (size_t i = 0; i < count; i++) {
                wide[i] = (int8_t)(codes[i] - 8);
            }
        } else {
            scale = pk_quantise_i8(r->values + at, count, wide);
        }
        if (!set_scale(n, r, own, coding.group, scale, symmetric_minimum(n, scale), e)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            restored[i] = pk_half_to_f32(scale) * (float)wide[i];
            codes[i] = n->tensor.format == MX_FORMAT_I8 ? (uint8_t)wide[i] : codes[i];
        }
        add_error(tally, r->values + at, restored, count);
    }
    return true;
}

static void place_codes(const struct pk_encoder *n, const struct row *r, unsigned i, uint8_t *data, uint8_t *scale,
                        uint8_t *extra) {
    const size_t atoms = mx_tensor_kp(&n->tensor) / 32, groups = mx_tensor_groups(&n->tensor);
    const bool wide = n->tensor.format == MX_FORMAT_I8;
    for (size_t a = 0; a < atoms; a++) {
        const uint8_t *codes = r->codes + 32 * a;
        uint8_t *atom = data + a * (wide ? 512 : 256);
        for (unsigned k = 0; k < (wide ? 32u : 16u); k++) {
            atom[(k / 4 * PK_TILE + i) * 4 + k % 4] = wide ? codes[k] : (uint8_t)(codes[k] | codes[16 + k] << 4);
        }
    }
    for (size_t g = 0; g < groups; g++) {
        put16(scale + 2 * (g * PK_TILE + i), r->scales[g]);
        if (n->tensor.format == MX_FORMAT_I4M) {
            put16(extra + 2 * (g * PK_TILE + i), r->extras[g]);
        }
    }
}

/* ---- Float formats ---- */

/* Writes one value as `format` and gives back what it reads as. */
static float place_float(uint32_t format, float value, uint8_t *data, size_t at) {
    if (format == MX_FORMAT_F32) {
        put_f32(data + 4 * at, value);
        return value;
    }
    const enum pk_type type = format == MX_FORMAT_F16 ? PK_F16 : PK_BF16;
    const uint16_t bits = type == PK_F16 ? pk_half_from_f32(value) : pk_bf16_from_f32(value);
    float stored;
    put16(data + 2 * at, bits == 0x8000u ? 0 : bits);
    pk_row_to_f32(type, data + 2 * at, 1, &stored);
    return stored;
}

static bool place_floats(const struct pk_encoder *n, struct row *r, unsigned i, uint8_t *data, struct pk_tally *tally,
                         struct pk_error *e) {
    if (!dequantise(r, e)) {
        return false;
    }
    tally->flushed += pk_flush(r->values, r->cols);
    for (size_t k = 0; k < r->cols; k++) {
        const float value = r->values[k], stored = place_float(n->tensor.format, value, data, k * PK_TILE + i);
        if (!isfinite(stored)) {
            return pk_fail(e, MOXIE_ERROR_NOT_FINITE, "tensor \"%s\", row %llu, column %llu: %g is too large for %s",
                           r->slice->tensor->name, (unsigned long long)r->number,
                           (unsigned long long)(r->slice->first_col + k), (double)value,
                           n->tensor.format == MX_FORMAT_F16 ? "a half" : "bfloat16");
        }
        const double d = (double)value - stored;
        tally->squared_error += d * d;
        tally->squares += (double)value * value;
    }
    return true;
}

/* ---- Tiles ---- */

static bool encode_row(const struct pk_encoder *n, struct row *r, unsigned i, uint8_t *data, uint8_t *scale,
                       uint8_t *extra, struct pk_tally *tally, struct pk_error *e) {
    const size_t kp = mx_tensor_kp(&n->tensor), groups = mx_tensor_groups(&n->tensor);
    if (!pk_is_integer(n->tensor.format)) {
        return r->slice ? place_floats(n, r, i, data, tally, e) : true; // zeros are there
    }
    memset(r->codes, n->tensor.format == MX_FORMAT_I4 ? 8 : 0, kp);
    memset(r->scales, 0, 2 * groups);
    memset(r->extras, 0, 2 * groups);
    if (r->slice) {
        const enum pk_type type = r->slice->tensor->type;
        const struct pk_coding coding = pk_coding_of(n->options, n->tensor.role, type), stored = pk_coding_stored(type);
        if (!(coding.format == stored.format ? keep_codes(n, r, e) : quantise(n, r, coding, tally, e))) {
            return false;
        }
    }
    place_codes(n, r, i, data, scale, extra);
    return true;
}

/* Rows of a tile that follow each other in one tensor, beginning with row `i`, are read at once. */
static unsigned run_length(const struct pk_encoder *n, uint64_t tile, unsigned i) {
    uint64_t first, next;
    const struct pk_slice *slice = pk_rows_find(&n->rows, n->tensor.row_offset + tile * PK_TILE + i, &first);
    unsigned length = 1;
    while (i + length < PK_TILE && tile * PK_TILE + i + length < n->tensor.rows &&
           pk_rows_find(&n->rows, n->tensor.row_offset + tile * PK_TILE + i + length, &next) == slice &&
           next == first + length) {
        length++;
    }
    return length;
}

static bool encode_rows(const struct pk_encoder *n, uint64_t tile, struct row *r, uint8_t *raw, uint8_t *data,
                        uint8_t *scale, uint8_t *extra, struct pk_tally *tally, struct pk_error *e) {
    unsigned read = 0; // rows up to here are in `raw`
    uint64_t base = 0; // of the first of them, in its tensor
    for (unsigned i = 0; i < PK_TILE; i++) {
        const uint64_t row = tile * PK_TILE + i;
        r->slice = row < n->tensor.rows ? pk_rows_find(&n->rows, n->tensor.row_offset + row, &r->number) : NULL;
        if (r->slice) {
            const struct pk_tensor *t = r->slice->tensor;
            if (i >= read) {
                unsigned length = run_length(n, tile, i);
                if (!pk_source_read_rows(n->source, t, r->number, length, raw, e)) {
                    return false;
                }
                base = r->number;
                read = i + length;
            }
            r->raw = raw + (r->number - base) * t->row_bytes;
            r->cols = r->slice->cols;
        }
        if (!encode_row(n, r, i, data, scale, extra, tally, e)) {
            return false;
        }
    }
    return true;
}

bool pk_encode_tile(const struct pk_encoder *n, uint64_t tile, uint8_t *data, uint8_t *scale, uint8_t *extra,
                    struct pk_tally *tally, struct pk_error *e) {
    const size_t kp = mx_tensor_kp(&n->tensor), groups = mx_tensor_groups(&n->tensor) + 1;
    uint64_t row_bytes = 0;
    for (unsigned i = 0; i < n->rows.n; i++) {
        const uint64_t bytes = n->rows.slice[i].tensor->row_bytes;
        row_bytes = bytes > row_bytes ? bytes : row_bytes;
    }
    const size_t room = kp + 2 * (size_t)PK_BLOCK; // whole blocks around a slice
    struct row r = {.values = malloc(room * sizeof(float)),
                    .codes = malloc(kp),
                    .scales = malloc(2 * groups),
                    .extras = malloc(2 * groups)};
    uint8_t *raw = malloc(PK_TILE * row_bytes);
    bool ok = r.values && r.codes && r.scales && r.extras && raw;
    if (ok) {
        memset(data, 0, mx_tensor_data_bytes(&n->tensor) / mx_tensor_tiles(&n->tensor));
        ok = encode_rows(n, tile, &r, raw, data, scale, extra, tally, e);
    } else {
        pk_fail_memory(e);
    }
    free(raw);
    free(r.extras);
    free(r.scales);
    free(r.codes);
    free(r.values);
    return ok;
}

bool pk_encode_vector(const struct pk_encoder *n, uint8_t *data, struct pk_tally *tally, struct pk_error *e) {
    for (unsigned i = 0; i < n->rows.n; i++) {
        const struct pk_tensor *t = n->rows.slice[i].tensor;
        uint8_t *raw = malloc(t->row_bytes);
        float *values = malloc(t->cols * sizeof(float));
        bool ok = raw && values ? pk_source_read_rows(n->source, t, 0, 1, raw, e) : (pk_fail_memory(e), false);
        if (ok) {
            pk_row_to_f32(t->type, raw, t->cols, values);
            ok = pk_check_finite(t, 0, values, e);
        }
        if (ok) {
            tally->flushed += pk_flush(values, t->cols);
            for (uint64_t k = 0; k < t->cols; k++, data += 4) {
                put_f32(data, values[k]);
            }
        }
        free(values);
        free(raw);
        if (!ok) {
            return false;
        }
    }
    return true;
}
