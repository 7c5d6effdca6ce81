/* SPDX-License-Identifier: Apache-2.0
 *
 * Where weights are and how they are decoded: one place for each format of runtime/bundle_format.h. */
#ifndef MX_FORMAT
#define MX_FORMAT 0
#endif
#ifndef MX_GROUP
#define MX_GROUP 32
#endif
#ifndef MX_SCALE
#define MX_SCALE 1
#endif
#ifndef MX_DOT
#define MX_DOT 0
#endif

#define MX_I4 1
#define MX_I4Z 2
#define MX_I4M 3
#define MX_I8 4
#define MX_BF16 5
#define MX_F16 6
#define MX_F32 7

/* The arguments of every kernel that reads weights, and the segment that they name. */
#define WEIGHTS                                                                                                        \
    __global const uchar *w0, __global const uchar *w1, uint first_window, __global const uint2 *segments,            \
        uint segment, uint data, uint scale, uint extra
#define MX_SEGMENT(add) mx_segment(w0, w1, first_window, segments, segment + (add))

inline __global const uchar *mx_segment(__global const uchar *w0, __global const uchar *w1, uint first_window,
                                        __global const uint2 *segments, uint s) {
    uint2 place = segments[s];
    return (place.x == first_window ? w0 : w1) + (ulong)place.y * 256;
}

/* Scales or minimums of 16 rows: [tile][group][16]. */
inline float16 mx_scales(__global const uchar *plane, ulong i) {
#if MX_SCALE == 2
    return vload16(i, (__global const float *)plane);
#else
    return vload_half16(i, (__global const half *)plane);
#endif
}

inline float mx_one_scale(__global const uchar *plane, ulong i) {
#if MX_SCALE == 2
    return ((__global const float *)plane)[i];
#else
    return vload_half(i, (__global const half *)plane);
#endif
}

/* One k of 16 rows of a float matrix: [tile][kp][16]. */
inline float16 mx_column(__global const uchar *plane, ulong i) {
#if MX_FORMAT == MX_BF16
    return as_float16(convert_uint16(vload16(i, (__global const ushort *)plane)) << 16);
#elif MX_FORMAT == MX_F16
    return vload_half16(i, (__global const half *)plane);
#else
    return vload16(i, (__global const float *)plane);
#endif
}
