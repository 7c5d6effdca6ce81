/* SPDX-License-Identifier: Apache-2.0
 *
 * ARITHMETIC.md section 2 for float and float16: the only functions that touch a value. Included first in every program. */
#pragma OPENCL FP_CONTRACT OFF

#define MX_NONE 0xffffffffu
#define MX_STATUS_NOT_FINITE 1
#define MX_STATUS_INDEX 2

#define MX_ARITHMETIC(F, I)                                                                                            \
    inline F __attribute__((overloadable)) mx_flush(F x) {                                                             \
        return (as_##I(x) & 0x7fffffff) < 0x2b800000 ? (F)(0.0f) : x;                                                  \
    }                                                                                                                  \
    inline F __attribute__((overloadable)) mx_recip(F b) {                                                             \
        F y = as_##F((I)(0x7EF311C7) - as_##I(b));                                                                     \
        for (int i = 0; i < 3; i++) {                                                                                  \
            F e = fma(-b, y, (F)(1.0f));                                                                               \
            y = fma(y, e, y);                                                                                          \
        }                                                                                                              \
        return y;                                                                                                      \
    }                                                                                                                  \
    inline F __attribute__((overloadable)) mx_div(F a, F b) {                                                          \
        F y = mx_recip(b), q = a * y, r = fma(-b, q, a);                                                               \
        return fma(r, y, q);                                                                                           \
    }                                                                                                                  \
    inline F __attribute__((overloadable)) mx_exp(F x) {                                                               \
        F z = x < (F)(-28.0f) ? (F)(-28.0f) : x;                                                                       \
        F n = rint(z * 1.44269504f);                                                                                   \
        F r = fma(n, (F)(-0x1.62e4p-1f), z);                                                                           \
        r = fma(n, (F)(-0x1.7f7d1cp-20f), r);                                                                          \
        F p = (F)(1.0f / 5040.0f);                                                                                     \
        p = fma(p, r, (F)(1.0f / 720.0f));                                                                             \
        p = fma(p, r, (F)(1.0f / 120.0f));                                                                             \
        p = fma(p, r, (F)(1.0f / 24.0f));                                                                              \
        p = fma(p, r, (F)(1.0f / 6.0f));                                                                               \
        p = fma(p, r, (F)(0.5f));                                                                                      \
        p = fma(p, r, (F)(1.0f));                                                                                      \
        p = fma(p, r, (F)(1.0f));                                                                                      \
        F v = mx_flush(as_##F(as_##I(p) + (convert_##I(n) << 23)));                                                    \
        return x < (F)(-28.0f) ? (F)(0.0f) : v;                                                                        \
    }                                                                                                                  \
    inline F __attribute__((overloadable)) mx_sigmoid(F z) {                                                           \
        F e = mx_exp(-fabs(z)), d = mx_recip((F)(1.0f) + e);                                                           \
        return z >= (F)(0.0f) ? d : e * d;                                                                             \
    }                                                                                                                  \
    inline F __attribute__((overloadable)) mx_silu(F z) {                                                              \
        return mx_flush(z * mx_sigmoid(z));                                                                            \
    }

MX_ARITHMETIC(float, int)
MX_ARITHMETIC(float16, int16)

inline float mx_rsqrt(float x) {
    float y = as_float(0x5F3759DF - (as_int(x) >> 1)), h = 0.5f * x;
    for (int i = 0; i < 4; i++) {
        float t = h * y, e = fma(-t, y, 0.5f);
        y = fma(y, e, y);
    }
    return y;
}

/* (cosine, sine) of a, 0 <= a < 2^18. */
inline float2 mx_cossin(float a) {
    float n = rint(a * 0.636619772f);
    float r = fma(n, -0x1.921fb6p+0f, a);
    r = fma(n, 0x1.777a5cp-25f, r);
    r = fma(n, 0x1.ee59dap-50f, r);
    float t = r * r;
    float p = 1.0f / 362880.0f;
    p = fma(p, t, -1.0f / 5040.0f);
    p = fma(p, t, 1.0f / 120.0f);
    p = fma(p, t, -1.0f / 6.0f);
    float u = t * r, s = fma(p, u, r);
    float c = -1.0f / 3628800.0f;
    c = fma(c, t, 1.0f / 40320.0f);
    c = fma(c, t, -1.0f / 720.0f);
    c = fma(c, t, 1.0f / 24.0f);
    c = fma(c, t, -0.5f);
    c = fma(c, t, 1.0f);
    switch ((int)n & 3) {
    case 0:
        return (float2)(c, s);
    case 1:
        return (float2)(-s, c);
    case 2:
        return (float2)(-c, -s);
    default:
        return (float2)(s, -c);
    }
}

inline float mx_fold(float16 a) {
    float8 b = a.lo + a.hi;
    float4 c = b.lo + b.hi;
    float2 d = c.lo + c.hi;
    return d.x + d.y;
}

/* x[i .. i+15], +0 beyond n. */
inline float16 mx_load16(__global const float *x, uint i, uint n) {
    if (i + 16 <= n)
        return vload16(0, x + i);
    float v[16];
    for (uint j = 0; j < 16; j++)
        v[j] = i + j < n ? x[i + j] : 0.0f;
    return vload16(0, v);
}

inline void mx_store16(__global float *x, uint i, uint n, float16 a) {
    if (i + 16 <= n) {
        vstore16(a, 0, x + i);
        return;
    }
    float v[16];
    vstore16(a, 0, v);
    for (uint j = 0; j < 16 && i + j < n; j++)
        x[i + j] = v[j];
}

/* lanesum, or lanesum of squares, of x (n). */
inline float mx_lanesum(__global const float *x, uint n, bool squares) {
    float total = 0.0f;
    for (uint s = 0; s < n; s += 256) {
        float16 a = 0.0f;
        for (uint i = s; i < min(s + 256, n); i += 16) {
            float16 v = mx_load16(x, i, n);
            a = squares ? fma(v, v, a) : a + v;
        }
        total = s ? total + mx_fold(a) : mx_fold(a);
    }
    return total;
}

inline bool mx_not_finite(float16 x) {
    return any((as_int16(x) & 0x7fffffff) >= 0x7f800000);
}
