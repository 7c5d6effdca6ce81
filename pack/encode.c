/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pack/pk_file.h"
#include "pack/quantise.h"

/* One row on its way into a tile. */
struct row {
    const struct pk_slice *slice;
    uint64_t number;       // in its tensor
    const char *file;      // its path
    const uint8_t *raw;    // as stored, from the tensor's column 0
    float *values;         // [kp] of the slice's columns
    int8_t *codes;         // [kp] of the slice's columns, in units
    struct pk_unit *units; // [kp / 32]; those of a group are equal
    uint16_t *bits;        // [kp] of float formats
    float *stored;         // [kp] what they read as
    size_t cols;           // of the slice
};

static void put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}

static void put_f32(uint8_t *p, float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put32(p, bits);
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
        const uint64_t column = first + i;
        r->values[i] = r->values[i] * r->slice->factor + r->slice->offset;
        if (!isfinite(r->values[i])) {
            return pk_fail(e, MOXIE_ERROR_NOT_FINITE, "%s: tensor \"%s\", row %llu, column %llu: the value is %s",
                           r->file, t->name, (unsigned long long)r->number, (unsigned long long)column,
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

/* Codes and scales as the checkpoint has them. */
static void keep_units(struct row *r) {
    const size_t first = r->slice->first_col / PK_BLOCK;
    for (size_t u = 0; u * PK_BLOCK < r->cols; u++) {
        pk_row_unit(r->slice->tensor->type, r->raw, first + u, r->codes + u * PK_BLOCK, &r->units[u]);
    }
}

static bool quantise(struct row *r, struct pk_coding coding, struct pk_tally *tally, struct pk_error *e) {
    if (!dequantise(r, e)) {
        return false;
    }
    for (size_t at = 0; at < r->cols; at += coding.group) {
        const size_t count = r->cols - at < coding.group ? r->cols - at : coding.group;
        const bool four = coding.format == MX_FORMAT_I4;
        float restored[PK_GROUP_MAX];
        const uint16_t scale = four ? pk_quantise_i4(r->values + at, count, (uint8_t *)r->codes + at)
                                    : pk_quantise_i8(r->values + at, count, r->codes + at);
        const struct pk_unit unit = {.scale = pk_half_to_f32(scale), .zero = four ? 8 : 0};
        for (size_t i = 0; i < count; i++) {
            restored[i] = unit.scale * (float)(r->codes[at + i] - unit.zero);
        }
        for (size_t i = 0; i < count; i += PK_BLOCK) {
            r->units[(at + i) / PK_BLOCK] = unit;
        }
        add_error(tally, r->values + at, restored, count);
    }
    return true;
}

static bool refuse(const struct row *r, size_t col, int code, const char *what, struct pk_error *e) {
    const uint64_t column = r->slice->first_col + col;
    return pk_fail(e, code, "%s: tensor \"%s\", row %llu, column %llu: %s", r->file, r->slice->tensor->name,
                   (unsigned long long)r->number, (unsigned long long)column, what);
}

/* Turns what another format would hold (a wider one was chosen for the whole matrix) into that of the tensor. */
static bool widen(const struct pk_encoder *n, struct row *r, struct pk_error *e) {
    const uint32_t format = n->tensor.format;
    for (size_t u = 0; u * PK_BLOCK < r->cols; u++) {
        struct pk_unit *unit = &r->units[u];
        int8_t *codes = r->codes + u * PK_BLOCK;
        for (size_t i = 0; format == MX_FORMAT_I8 && i < PK_BLOCK && u * PK_BLOCK + i < r->cols; i++) {
            codes[i] = (int8_t)(codes[i] - unit->zero);
            if (codes[i] == INT8_MIN) {
                return refuse(r, u * PK_BLOCK + i, MOXIE_ERROR_BOUNDS, "the code is -128", e);
            }
        }
        if (format == MX_FORMAT_I4M && unit->zero) {
            unit->minimum = -(float)unit->zero * unit->scale;
        }
    }
    return true;
}

/* Stores a scale or minimum; false when it is not finite in its type. */
static bool put_scale(uint8_t *plane, size_t at, uint32_t scale_type, float value) {
    if (scale_type == MX_SCALE_F32) {
        pk_flush(&value, 1);
        put_f32(plane + 4 * at, value);
        return isfinite(value);
    }
    const uint16_t half = pk_half_from_f32(value);
    put16(plane + 2 * at, half == 0x8000u ? 0 : half);
    return pk_half_is_finite(half);
}

static void place_codes(const struct pk_encoder *n, const struct row *r, unsigned i, uint8_t *data) {
    const size_t atoms = mx_tensor_kp(&n->tensor) / 32;
    const bool wide = n->tensor.format == MX_FORMAT_I8;
    for (size_t a = 0; a < atoms; a++) {
        const uint8_t *codes = (const uint8_t *)r->codes + 32 * a;
        uint8_t *atom = data + a * (wide ? 512 : 256);
        for (unsigned k = 0; k < (wide ? 32u : 16u); k++) {
            atom[(k / 4 * PK_TILE + i) * 4 + k % 4] = wide ? codes[k] : (uint8_t)(codes[k] | codes[16 + k] << 4);
        }
    }
}

static bool place_scales(const struct pk_encoder *n, const struct row *r, unsigned i, uint8_t *scale, uint8_t *extra,
                         struct pk_error *e) {
    const struct mx_tensor *t = &n->tensor;
    for (size_t g = 0; g < mx_tensor_groups(t); g++) {
        const struct pk_unit *u = &r->units[g * t->group / PK_BLOCK];
        const size_t at = g * PK_TILE + i;
        if (!put_scale(scale, at, t->scale_type, u->scale)) {
            return r->slice && refuse(r, g * t->group, MOXIE_ERROR_NOT_FINITE, "a scale is not finite", e);
        }
        if (t->format == MX_FORMAT_I4M && !put_scale(extra, at, t->scale_type, u->minimum)) {
            return r->slice && refuse(r, g * t->group, MOXIE_ERROR_NOT_FINITE, "a minimum is not finite", e);
        }
        if (t->format == MX_FORMAT_I4Z) {
            extra[at] = u->zero;
        }
    }
    return true;
}

/* A row of integers, or (no slice) of padding: codes that stand for 0. */
static bool place_integers(const struct pk_encoder *n, struct row *r, unsigned i, uint8_t *data, uint8_t *scale,
                           uint8_t *extra, struct pk_tally *tally, struct pk_error *e) {
    const size_t kp = mx_tensor_kp(&n->tensor);
    const uint32_t format = n->tensor.format, group = n->tensor.group;
    for (size_t u = 0; u < kp / PK_BLOCK; u++) {
        r->units[u] = (struct pk_unit){0};
    }
    if (r->slice) {
        const struct pk_coding coding = pk_coding_of(n->options, n->tensor.role, r->slice->tensor);
        if (coding.kept) {
            keep_units(r);
        } else if (!quantise(r, coding, tally, e)) {
            return false;
        }
        if (!widen(n, r, e)) {
            return false;
        }
    }
    for (size_t k = r->slice ? r->cols : 0; k < kp; k++) {
        const uint8_t zero = r->units[k / group * group / PK_BLOCK].zero;
        r->codes[k] = (int8_t)(format == MX_FORMAT_I4 ? 8 : format == MX_FORMAT_I4Z ? zero : 0);
    }
    place_codes(n, r, i, data);
    return place_scales(n, r, i, scale, extra, e);
}

/* ---- Float formats ---- */

/* The values as `format` holds them: `bits` of 16-bit formats, and what they read as. */
static void round_floats(uint32_t format, const float *values, size_t n, uint16_t *bits, float *stored) {
    if (format == MX_FORMAT_F32) {
        memcpy(stored, values, n * sizeof(*stored));
    } else if (format == MX_FORMAT_F16) {
        for (size_t k = 0; k < n; k++) {
            const uint16_t half = pk_half_from_f32(values[k]);
            bits[k] = half == 0x8000u ? 0 : half;
            stored[k] = pk_half_to_f32(half);
        }
    } else {
        for (size_t k = 0; k < n; k++) { // a flushed value rounds to no zero
            bits[k] = pk_bf16_from_f32(values[k]);
            const uint32_t single = (uint32_t)bits[k] << 16;
            memcpy(&stored[k], &single, 4);
        }
    }
}

/* A row of 16-bit floats that are stored as they are, but for what is flushed: below `least` in magnitude. False: one
 * is `infinite` or more, which the long way tells about. In pieces of a fixed length, which compilers turn into
 * vectors. */
static bool copy_floats(const struct row *r, unsigned i, uint16_t least, uint16_t infinite, uint8_t *data,
                        struct pk_tally *tally) {
    const uint8_t *from = r->raw + 2 * r->slice->first_col;
    uint64_t flushed = 0;
    bool finite = true;
    for (size_t at = 0; at < r->cols; at += PK_BLOCK) {
        const size_t n = r->cols - at < PK_BLOCK ? r->cols - at : PK_BLOCK;
        uint16_t bits[PK_BLOCK] = {0}, largest = 0, small = 0;
        memcpy(bits, from + 2 * at, 2 * n); // little-endian, checked by pk_pack
        for (unsigned k = 0; k < PK_BLOCK; k++) {
            const uint16_t magnitude = bits[k] & 0x7fff;
            largest = magnitude > largest ? magnitude : largest;
            small = (uint16_t)(small + ((magnitude != 0) & (magnitude < least)));
            bits[k] = magnitude < least ? 0 : bits[k];
        }
        for (size_t k = 0; k < n; k++) {
            memcpy(data + 2 * ((at + k) * PK_TILE + i), &bits[k], 2);
        }
        flushed += small;
        finite = finite && largest < infinite;
    }
    tally->flushed += finite ? flushed : 0;
    return finite;
}

static bool place_floats(const struct pk_encoder *n, struct row *r, unsigned i, uint8_t *data, struct pk_tally *tally,
                         struct pk_error *e) {
    const uint32_t format = n->tensor.format;
    const enum pk_type type = r->slice->tensor->type;
    if (format == MX_FORMAT_BF16 && type == PK_BF16 && copy_floats(r, i, (127 - 40) << 7, 0x7f80, data, tally)) {
        return true;
    }
    if (format == MX_FORMAT_F16 && type == PK_F16 && copy_floats(r, i, 1, 0x7c00, data, tally)) { // 2^-24 is its least
        return true;
    }
    if (!dequantise(r, e)) {
        return false;
    }
    tally->flushed += pk_flush(r->values, r->cols);
    round_floats(format, r->values, r->cols, r->bits, r->stored);
    for (size_t k = 0; k < r->cols; k++) {
        const uint64_t column = r->slice->first_col + k;
        if (!isfinite(r->stored[k])) {
            return pk_fail(e, MOXIE_ERROR_NOT_FINITE,
                           "%s: tensor \"%s\", row %llu, column %llu: %g is too large for %s", r->file,
                           r->slice->tensor->name, (unsigned long long)r->number, (unsigned long long)column,
                           (double)r->values[k], format == MX_FORMAT_F16 ? "a half" : "bfloat16");
        }
    }
    for (size_t k = 0; k < r->cols; k++) {
        if (format == MX_FORMAT_F32) {
            put_f32(data + 4 * (k * PK_TILE + i), r->stored[k]);
        } else {
            put16(data + 2 * (k * PK_TILE + i), r->bits[k]);
        }
    }
    add_error(tally, r->values, r->stored, r->cols);
    return true;
}

/* ---- Tiles ---- */

static bool encode_row(const struct pk_encoder *n, struct row *r, unsigned i, uint8_t *data, uint8_t *scale,
                       uint8_t *extra, struct pk_tally *tally, struct pk_error *e) {
    if (mx_format_is_integer(n->tensor.format)) {
        return place_integers(n, r, i, data, scale, extra, tally, e);
    }
    return r->slice ? place_floats(n, r, i, data, tally, e) : true; // zeros are there
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
                if (!pk_source_read_columns(n->source, t, r->number, length, r->slice->first_col, r->slice->cols, raw,
                                            e)) {
                    return false;
                }
                base = r->number;
                read = i + length;
            }
            r->file = n->source->files[t->file].path;
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
    const size_t kp = mx_tensor_kp(&n->tensor);
    uint64_t row_bytes = 1;
    for (unsigned i = 0; i < n->rows.n; i++) {
        const uint64_t bytes = n->rows.slice[i].tensor->row_bytes;
        row_bytes = bytes > row_bytes ? bytes : row_bytes;
    }
    const size_t room = kp + 2 * (size_t)PK_BLOCK_MAX; // whole blocks around a slice
    struct row r = {.values = malloc(room * sizeof(*r.values)),
                    .codes = malloc(kp),
                    .units = malloc(kp / PK_BLOCK * sizeof(*r.units)),
                    .bits = malloc(kp * sizeof(*r.bits)),
                    .stored = malloc(kp * sizeof(*r.stored))};
    uint8_t *raw = malloc(PK_TILE * row_bytes);
    bool ok = r.values && r.codes && r.units && r.bits && r.stored && raw;
    if (ok) {
        memset(data, 0, mx_tensor_data_bytes(&n->tensor) / mx_tensor_tiles(&n->tensor));
        ok = encode_rows(n, tile, &r, raw, data, scale, extra, tally, e);
    } else {
        pk_fail_memory(e);
    }
    free(raw);
    free(r.stored);
    free(r.bits);
    free(r.units);
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
            ok = pk_check_finite(n->source, t, 0, values, e);
        }
        for (uint64_t k = 0; ok && k < t->cols; k++) {
            values[k] = values[k] * n->rows.slice[i].factor + n->rows.slice[i].offset;
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
