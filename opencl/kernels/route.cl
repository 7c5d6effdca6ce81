/* SPDX-License-Identifier: Apache-2.0
 *
 * Routing, ARITHMETIC.md 4.2.8 and 4.2.10: which experts a token takes, the entries sorted by expert, the weighted sum. */
#define MX_NORM_TOPK 1
#define MX_SHARED_GATE 2
#define MX_ROUTED_MAX 1024
#define MX_TOP_K_MAX 16

/* Global: (T). */
__kernel void mx_route(__global const float *g, __global int *selected, __global float *weight, uint routed, uint top_k,
                       uint shared, uint flags, uint ldg) {
    const ulong t = get_global_id(0);
    __global const float *in = g + t * ldg;
    __global int *chosen = selected + t * (top_k + shared);
    __global float *w = weight + t * (top_k + shared);
    float p[MX_ROUTED_MAX], m = in[0];
    for (uint e = 1; e < routed; e++)
        m = fmax(m, in[e]);
    float z = 0.0f;
    for (uint s = 0; s < routed; s += 256) {
        float16 a = 0.0f;
        for (uint i = s; i < min(s + 256, routed); i += 16) {
            float v[16];
            for (uint j = 0; j < 16; j++) {
                v[j] = i + j < routed ? mx_exp(in[i + j] - m) : 0.0f;
                if (i + j < routed)
                    p[i + j] = v[j];
            }
            a = a + vload16(0, v);
        }
        z = s ? z + mx_fold(a) : mx_fold(a);
    }
    const float r = mx_recip(z);
    for (uint e = 0; e < routed; e++)
        p[e] = mx_flush(p[e] * r);
    int pick[MX_TOP_K_MAX];
    for (uint n = 0; n < top_k; n++) {
        int best = -1;
        for (uint e = 0; e < routed; e++) {
            bool taken = false;
            for (uint i = 0; i < n; i++)
                taken = taken || pick[i] == (int)e;
            if (!taken && (best < 0 || p[e] > p[best]))
                best = e;
        }
        pick[n] = best;
    }
    for (uint n = 1; n < top_k; n++)
        for (uint i = n; i > 0 && pick[i - 1] > pick[i]; i--) {
            int swap = pick[i];
            pick[i] = pick[i - 1];
            pick[i - 1] = swap;
        }
    float sum = 0.0f;
    for (uint n = 0; n < top_k; n++)
        sum = n ? sum + p[pick[n]] : p[pick[n]];
    for (uint n = 0; n < top_k; n++) {
        chosen[n] = pick[n];
        w[n] = flags & MX_NORM_TOPK ? mx_flush(mx_div(p[pick[n]], sum)) : p[pick[n]];
    }
    for (uint n = 0; n < shared; n++) {
        chosen[top_k + n] = routed + n;
        w[top_k + n] = flags & MX_SHARED_GATE ? mx_flush(mx_sigmoid(in[routed])) : 1.0f;
    }
}

/* Stable counting sort of the entries by expert. One work-item. */
__kernel void mx_sort(__global const int *selected, __global const uint *counts, __global uint4 *jobs,
                      __global uint *rows, __global uint *entry, uint n, uint experts) {
    const uint T = counts[0], entries = T * n;
    uint at[MX_ROUTED_MAX + 64];
    for (uint e = 0; e < experts; e++)
        at[e] = 0;
    for (uint i = 0; i < entries; i++)
        at[selected[i]]++;
    uint first = 0, used = 0;
    for (uint e = 0; e < experts; e++) {
        uint count = at[e];
        if (count)
            jobs[used++] = (uint4)(e, first, count, 0);
        at[e] = first;
        first += count;
    }
    for (; used < min(experts, entries); used++)
        jobs[used] = (uint4)(0, 0, 0, 0);
    for (uint i = 0; i < entries; i++) {
        uint place = at[selected[i]]++;
        rows[place] = i / n;
        entry[i] = place;
    }
}

/* x[t] += the weighted outputs of its experts. Global: (T, ceil(H / 16)). */
__kernel void mx_combine(__global const float *out, __global const uint *entry, __global const float *weight,
                         __global float *x, uint H, uint n) {
    const ulong t = get_global_id(0);
    const uint i = get_global_id(1) * 16;
    float16 y = 0.0f;
    for (uint k = 0; k < n; k++)
        y = fma((float16)(weight[t * n + k]), mx_load16(out + (ulong)entry[t * n + k] * H, i, H), y);
    mx_store16(x + t * H, i, H, mx_flush(mx_load16(x + t * H, i, H) + y));
}
