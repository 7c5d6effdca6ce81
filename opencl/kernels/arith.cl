/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of runtime/ARITHMETIC.md, section 2: one text for kernels (float and 16 lanes of it) and, through
 * runtime/arith.h, for the host. It is the first string of every program.
 *
 * Two styles from one source, with the same bits:
 *   MX_LANES 0  a work-item works on vectors of 16 (CPUs; correct with any work-group size, meant for 1)
 *   MX_LANES 1  16 work-items are the 16 lanes (GPUs; one-dimensional work-groups of MX_LOCAL, a multiple of 64)
 * Only the second uses local memory: PoCL 3.1 shares a work-group's local arrays between its threads.
 * A *unit* is what the host's grid counts: a work-item in the first style, a work-group in the second. */
#ifdef __OPENCL_C_VERSION__
#pragma OPENCL FP_CONTRACT OFF
#define MX_FN static inline

#ifndef MX_LANES
#define MX_LANES 0
#endif
#ifndef MX_LOCAL
#define MX_LOCAL 128
#endif

#if MX_LANES
typedef float mx_f;
typedef int mx_i;
typedef uint mx_u;
#define MX_LANE (get_local_id(0) & 15u) /* lane, and which of the group's sets of 16 it belongs to */
#define MX_SLOT (get_local_id(0) >> 4)
#define MX_SLOTS (get_local_size(0) >> 4)
#define MX_UNIT(dim) get_group_id(dim)
#define MX_UNITS(dim) get_num_groups(dim)
#define MX_ITEM get_local_id(0) /* work-item of the unit, and how many there are */
#define MX_ITEMS get_local_size(0)
#define MX_SHARED __local
#define MX_SYNC() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define MX_TO_F(i) convert_float(i)
#define MX_TO_I(u) convert_int(u)
#define as_mx_i as_int
#else
typedef float16 mx_f;
typedef int16 mx_i;
typedef uint16 mx_u;
#ifdef MX_SEQUENCE
#define MX_UNIT(dim) unit_.s##dim
#define MX_UNITS(dim) units_.s##dim
#else
#define MX_UNIT(dim) get_global_id(dim)
#define MX_UNITS(dim) get_global_size(dim)
#endif
#define MX_ITEM 0u
#define MX_ITEMS 1u
#define MX_SHARED
#define MX_SYNC()
#define MX_TO_F(i) convert_float16(i)
#define MX_TO_I(u) convert_int16(u)
#define as_mx_i as_int16
#endif

#define MX_AVX2 1 /* MX_DOT: enum mx_dot of opencl/device.h */
#define MX_VNNI512 2
#define MX_DP4A 3
#define MX_MMA 4 /* and dp4a where there are few entries */

/* Asks the nearest cache, or the next, for the line at p, which need not be memory. */
#if MX_DOT == MX_AVX2 || MX_DOT == MX_VNNI512
#define MX_PREFETCH(near, p)                                                                                           \
    if (near)                                                                                                          \
        __asm__ volatile("prefetcht0 %0" : : "m"(*(p)));                                                               \
    else                                                                                                               \
        __asm__ volatile("prefetcht1 %0" : : "m"(*(p)))
#else
#define MX_PREFETCH(near, p)
#endif

/* A function for a large part of a kernel, which a processor's compiler is not to inline: several of PoCL 3.1's passes over
 * a kernel take time that grows with the square of its text (mx_linear in one piece: 4 times as long). */
#if MX_LANES
#define MX_APART MX_INLINE
#else
#define MX_APART static __attribute__((noinline))
#endif

/* That a work-item computes with vectors of 16 keeps Intel's compiler from making vectors of work-items, of which there is
 * one in a group: it took 17 instead of 2 s for mx_linear, 55 instead of 4 s for mx_sequence. */
#if MX_LANES
#define MX_ENTRY __kernel
#else
#define MX_ENTRY __kernel __attribute__((vec_type_hint(float16)))
#endif

/* In the program of sequence.cl the kernels are functions, which are told the unit that they are. */
#ifdef MX_SEQUENCE
#define MX_KERNEL(name, ...) MX_APART void name(uint3 unit_, uint3 units_, __VA_ARGS__)
#else
#define MX_KERNEL(name, ...) MX_ENTRY void name(__VA_ARGS__)
#endif
#endif

#define MX_SEGMENT 256u  /* elements of a partial sum */
#define MX_KV_BLOCK 64u  /* positions */
#define MX_LOWEST 0x2b800000 /* bits of 2^-40 */
#define MX_INFINITE 0x7f800000
#define MX_MAGNITUDE 0x7fffffff

/* F: a float type, I: the integer type of its bits. The name ends in n. */
#define MX_DEFINE_FUNCTIONS(F, I, n)                                                                                   \
    MX_FN F mx_flush##n(F x) {                                                                                         \
        return (as_##I(x) & MX_MAGNITUDE) < MX_LOWEST ? (F)(0.0f) : x;                                                 \
    }                                                                                                                  \
    /* rint as an integer, for |x| < 2^21: the sum's last bit is 1. Quicker than rint, which PoCL computes step by step.  \
     * What is a product must go through clamp, which keeps a compiler from contracting it with this addition. */       \
    MX_FN I mx_nearest##n(F x) {                                                                                       \
        return as_##I(x + 0x1.8p23f) - 0x4b400000;                                                                     \
    }                                                                                                                  \
    /* 1 / b for 2^-100 < b < 2^100 */                                                                                 \
    MX_FN F mx_recip##n(F b) {                                                                                         \
        F y = as_##F(0x7EF311C7 - as_##I(b)), e;                                                                       \
        e = fma(-b, y, (F)(1.0f));                                                                                     \
        y = fma(y, e, y);                                                                                              \
        e = fma(-b, y, (F)(1.0f));                                                                                     \
        y = fma(y, e, y);                                                                                              \
        e = fma(-b, y, (F)(1.0f));                                                                                     \
        return fma(y, e, y);                                                                                           \
    }                                                                                                                  \
    /* e^x for x <= 0, -infinity included. e^-28 is below 2^-40: what is less than -28 gives 0 as well. */              \
    MX_FN F mx_exp##n(F x) {                                                                                           \
        F c = x < -28.0f ? (F)(-28.0f) : x, t = clamp(c * 1.44269504f, (F)(-64.0f), (F)(64.0f)) + 0x1.8p23f;           \
        F k = t - 0x1.8p23f, r = fma(k, (F)(-0x1.7f7d1cp-20f), fma(k, (F)(-0x1.62e4p-1f), c));                         \
        F p = fma((F)(1.0f / 5040), r, (F)(1.0f / 720));                                                               \
        p = fma(p, r, (F)(1.0f / 120));                                                                                \
        p = fma(p, r, (F)(1.0f / 24));                                                                                 \
        p = fma(p, r, (F)(1.0f / 6));                                                                                  \
        p = fma(p, r, (F)(0.5f));                                                                                      \
        p = fma(p, r, (F)(1.0f));                                                                                      \
        p = fma(p, r, (F)(1.0f));                                                                                      \
        return mx_flush##n(as_##F(as_##I(p) + (p < 2.0f ? as_##I(t) << 23 : (I)(0)))); /* a NaN stays one */           \
    }                                                                                                                  \
    MX_FN F mx_sigmoid##n(F z) {                                                                                       \
        F e = mx_exp##n(as_##F(as_##I(z) | (I)(-0x7fffffff - 1))), d = mx_recip##n(1.0f + e), below = e * d;           \
        return z >= 0.0f ? d : below;                                                                                  \
    }                                                                                                                  \
    /* SiLU, or GELU: z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z^3))) = z * sigmoid(twice what tanh is of) */     \
    MX_FN F mx_gate##n(F z, int gelu) {                                                                                \
        F t = z * z, u = gelu ? z * fma(t, (F)(0.0713548163f), (F)(1.59576912f)) : z;                                  \
        return mx_flush##n(z * mx_sigmoid##n(u));                                                                      \
    }

MX_DEFINE_FUNCTIONS(float, int, )
#ifdef __OPENCL_C_VERSION__
#if MX_LANES
#define mx_flush_f mx_flush
#define mx_exp_f mx_exp
#define mx_gate_f mx_gate
#else
MX_DEFINE_FUNCTIONS(float16, int16, 16)
#define mx_flush_f mx_flush16
#define mx_exp_f mx_exp16
#define mx_gate_f mx_gate16
#endif
#endif

/* a / b, b as for mx_recip */
MX_FN float mx_div(float a, float b) {
    float y = mx_recip(b), q = a * y, r = fma(-b, q, a);
    return fma(r, y, q);
}

/* 1 / sqrt(x) for x > 2^-100 */
MX_FN float mx_rsqrt(float x) {
    float y = as_float(0x5F3759DF - (as_int(x) >> 1)), h = 0.5f * x;
    for (int i = 0; i < 4; i++) {
        float t = h * y, e = fma(-t, y, 0.5f);
        y = fma(y, e, y);
    }
    return y;
}

/* Near 0 the error is small beside 1, not beside the result. */
MX_FN float mx_tanh(float z) {
    float e = mx_exp(-2.0f * fabs(z)), t = (1.0f - e) * mx_recip(1.0f + e);
    return mx_flush(z < 0.0f ? -t : t);
}

/* sine and cosine of 0 <= a < 2^18 */
MX_FN void mx_sincos(float a, float *sine, float *cosine) {
    float n = rint(a * 0.636619772f);
    float r = fma(n, 0x1.ee59dap-50f, fma(n, 0x1.777a5cp-25f, fma(n, -0x1.921fb6p+0f, a)));
    float t = r * r, u = t * r;
    float p = fma(1.0f / 362880, t, -1.0f / 5040);
    p = fma(p, t, 1.0f / 120);
    p = fma(p, t, -1.0f / 6);
    float s = fma(p, u, r);
    p = fma(-1.0f / 3628800, t, 1.0f / 40320);
    p = fma(p, t, -1.0f / 720);
    p = fma(p, t, 1.0f / 24);
    p = fma(p, t, -0.5f);
    float c = fma(p, t, 1.0f);
    int quadrant = convert_int(n) & 3;
    *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
    *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

#ifdef __OPENCL_C_VERSION__
/* For code in which a number T of things is computed side by side: MX_EACH_T(statements) does them for t = 0 .. T - 1.
 * Arrays of T become registers only when all is inlined and every index is a constant from the start; loops are unrolled
 * too late for that (seen with clang 14: sums kept in memory, 5 times slower). T is a number of the preprocessor: what a
 * compiler has to find out to be dead costs it as much as what is alive (Mesa's took 22 instead of 6 s for mx_linear). */
#define MX_INLINE MX_FN __attribute__((always_inline))
#define MX_JOIN_(a, b) a##b
#define MX_JOIN(a, b) MX_JOIN_(a, b)
#define MX_ONE(i, ...)                                                                                                 \
    {                                                                                                                  \
        enum { t = i };                                                                                                \
        __VA_ARGS__;                                                                                                   \
    }
#define MX_EACH_1(...) MX_ONE(0, __VA_ARGS__)
#define MX_EACH_2(...) MX_EACH_1(__VA_ARGS__) MX_ONE(1, __VA_ARGS__)
#define MX_EACH_3(...) MX_EACH_2(__VA_ARGS__) MX_ONE(2, __VA_ARGS__)
#define MX_EACH_4(...) MX_EACH_3(__VA_ARGS__) MX_ONE(3, __VA_ARGS__)
#define MX_EACH_5(...) MX_EACH_4(__VA_ARGS__) MX_ONE(4, __VA_ARGS__)
#define MX_EACH_6(...) MX_EACH_5(__VA_ARGS__) MX_ONE(5, __VA_ARGS__)
#define MX_EACH_7(...) MX_EACH_6(__VA_ARGS__) MX_ONE(6, __VA_ARGS__)
#define MX_EACH_8(...) MX_EACH_7(__VA_ARGS__) MX_ONE(7, __VA_ARGS__)
#define MX_EACH_T(...) MX_JOIN(MX_EACH_, T)(__VA_ARGS__)

#if !MX_LANES
/* The 16 lanes of a sum, added by halves. (Through memory where the simulator Oclgrind may run it: it dies of shuffles
 * with lanes that nobody needs.) */
MX_FN float mx_add16(float16 a) {
#if MX_DOT
    const float8 a8 = a.lo + a.hi;
    const float4 a4 = a8.lo + a8.hi;
    const float2 a2 = a4.lo + a4.hi;
    return a2.x + a2.y;
#else
    float v[16];
    vstore16(a, 0, v);
    for (uint half_ = 8; half_ > 0; half_ /= 2)
        for (uint j = 0; j < half_; j++)
            v[j] = v[j] + v[j + half_];
    return v[0];
#endif
}

MX_FN int mx_sum16(int16 a) {
#if MX_DOT
    const int8 a8 = a.lo + a.hi;
    const int4 a4 = a8.lo + a8.hi;
    return a4.x + a4.y + (a4.z + a4.w);
#else
    int v[16], sum = 0;
    vstore16(a, 0, v);
    for (uint j = 0; j < 16; j++)
        sum += v[j];
    return sum;
#endif
}

MX_FN int mx_max16(int16 a) {
#if MX_DOT
    const int8 a8 = max(a.lo, a.hi);
    const int4 a4 = max(a8.lo, a8.hi);
    return max(max(a4.x, a4.y), max(a4.z, a4.w));
#else
    int v[16], m;
    vstore16(a, 0, v);
    m = v[0];
    for (uint j = 1; j < 16; j++)
        m = max(m, v[j]);
    return m;
#endif
}

/* The first n of 16 values, the others 0. What is rare stays small: it stands in every kernel many times. */
#define MX_RARE _Pragma("clang loop vectorize(disable) unroll(disable)")
MX_FN float16 mx_load(__global const float *p, uint n) {
    if (n >= 16)
        return vload16(0, p);
    float v[16];
    MX_RARE for (uint i = 0; i < 16; i++)
        v[i] = i < n ? p[i] : 0.0f;
    return vload16(0, v);
}

MX_FN void mx_store(__global float *p, float16 v, uint n) {
    if (n >= 16) {
        vstore16(v, 0, p);
    } else {
        float a[16];
        vstore16(v, 0, a);
        MX_RARE for (uint i = 0; i < n; i++)
            p[i] = a[i];
    }
}
#endif
#endif
