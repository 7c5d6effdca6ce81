/* SPDX-License-Identifier: Apache-2.0
 *
 * Where weights lie and how they are decoded (runtime/bundle_format.h has the layouts). Second string of every program.
 *
 * Options of the host: MX_FORMAT (enum mx_format), MX_GROUP (elements per scale), MX_KV (enum mx_kv_type), MX_DOT (enum
 * mx_dot of opencl/device.h). */
#define MX_I4 1
#define MX_I4Z 2
#define MX_I4M 3
#define MX_I8 4
#define MX_BF16 5
#define MX_F16 6
#define MX_F32 7
#define MX_INTEGER (MX_FORMAT >= MX_I4 && MX_FORMAT <= MX_I8)

#define MX_NONE 0xffffffffu

#define MX_HEAD_DIM_MAX 256u

/* Elements of the KV cache. */
#define MX_KV_F16 1
#define MX_KV_I8 3
#if MX_KV == MX_KV_F16
typedef ushort mx_kv;
#elif MX_KV == MX_KV_I8
typedef char mx_kv;
#else
typedef float mx_kv;
#endif

/* A KV head's block of 64 positions: d elements for each, then its scale, a byte, where elements are integers. The byte is
 * the middle of a float: exponents from 2^-23 on, and three bits of fraction. */
#define MX_KV_SIZE(d) ((ulong)((d) + (MX_KV == MX_KV_I8 ? 1u : 0u)) * MX_KV_BLOCK) /* in elements */
#define MX_KV_SCALES(block, d) ((__global uchar *)((block) + (d) * MX_KV_BLOCK))
#define MX_KV_SCALE_SHIFT 20
#define MX_KV_SCALE_FIRST (104u << 3)

/* A tensor in one of two windows. An expert's segment is `segment` + its number. */
#define MX_WEIGHTS                                                                                                     \
    __global const uchar *w0, __global const uchar *w1, uint first_window, __global const uint2 *segments,             \
        uint segment, uint data, uint scale, uint extra
#define MX_BASE(s) ((segments[s].x == first_window ? w0 : w1) + (ulong)segments[s].y * 256)

#define MX_NOT_FINITE 1 /* bits of status */
#define MX_BAD_INDEX 2

/* Row i of an array of rows of 16: all of it, or this lane's element. */
#if MX_LANES
#define MX_ROW(p, i) ((p)[16 * (i) + MX_LANE])
#else
#define MX_ROW(p, i) vload16(i, p)
#endif

/* A device whose vload_half flushes subnormals to zero gets -DMX_HALF_BY_INTEGER. */
#ifdef MX_HALF_BY_INTEGER
MX_FN float mx_half(__global const ushort *p, ulong i) {
    int h = p[i], m = h & 0x7fff;
    float small = convert_float(m) * 0x1p-24f;
    int bits = m < 0x400 ? as_int(small) : (m << 13) + (m < 0x7c00 ? 0x38000000 : 0x70000000);
    return as_float(bits | (h & 0x8000) << 16);
}
#if !MX_LANES
MX_FN float16 mx_half16(__global const ushort *p, ulong i) {
    int16 h = convert_int16(vload16(i, p)), m = h & 0x7fff;
    float16 small = convert_float16(m) * 0x1p-24f;
    int16 bits = m < 0x400 ? as_int16(small) : (m << 13) + (m < 0x7c00 ? (int16)0x38000000 : (int16)0x70000000);
    return as_float16(bits | (h & 0x8000) << 16);
}
#endif
#else
#define mx_half(p, i) vload_half(i, (__global const half *)(p))
#define mx_half16(p, i) vload_half16(i, (__global const half *)(p))
#endif

#if MX_LANES
#define MX_HALF_ROW(p, i) mx_half(p, 16 * (i) + MX_LANE)
#else
#define MX_HALF_ROW(p, i) mx_half16(p, i)
#endif

/* Scales and minimums: row i of an array of rows of 16, or element i. type: enum mx_scale_type. */
#define MX_SCALE_F16 1
#define MX_SCALE_AT(p, i, type) ((p) + ((size_t)(i) << (type)))
#define MX_SCALE_ROW(p, i, type)                                                                                       \
    ((type) == MX_SCALE_F16 ? MX_HALF_ROW((__global const ushort *)(p), i) : MX_ROW((__global const float *)(p), i))
#define MX_SCALE_ONE(p, i, type)                                                                                       \
    ((type) == MX_SCALE_F16 ? mx_half((__global const ushort *)(p), i) : ((__global const float *)(p))[i])

/* Float weights. */
#if MX_FORMAT == MX_F32
typedef float mx_weight;
#define MX_WEIGHT_ROW(p, i) MX_ROW(p, i)
#elif MX_FORMAT == MX_F16
typedef ushort mx_weight;
#define MX_WEIGHT_ROW(p, i) MX_HALF_ROW(p, i)
#elif MX_FORMAT == MX_BF16
typedef ushort mx_weight;
#if MX_LANES
#define MX_WEIGHT_ROW(p, i) as_float((uint)MX_ROW(p, i) << 16)
#else
#define MX_WEIGHT_ROW(p, i) as_float16(convert_uint16(MX_ROW(p, i)) << 16)
#endif
#endif
