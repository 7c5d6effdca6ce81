/* SPDX-License-Identifier: Apache-2.0
 *
 * Mixture of experts around its matrices: choosing experts, sorting tokens by expert, combining what experts gave. */

#define MX_ROUTED_MAX 1024u
#define MX_TOP_K_MAX 16u
#define MX_EXPERTS_MAX (MX_ROUTED_MAX + 64u)
#define MX_NORM_TOPK 1u
#define MX_SHARED_GATE 2u

/* p (routed) = softmax of g; places of routed .. are not written. Ends with a barrier. */
MX_FN void mx_softmax(__global const float *g, uint routed, MX_SHARED float *p) {
    float m = g[0], z = 0.0f;
    for (uint e = 1; e < routed; e++)
        m = g[e] > m ? g[e] : m;
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
        p[e] = mx_exp(g[e] - m);
    MX_SYNC();
    for (uint s = 0; s < routed; s += MX_SEGMENT) { /* every work-item adds all of it */
        float a[16];
        const uint end = min(routed, s + MX_SEGMENT);
        for (uint j = 0; j < 16; j++) {
            a[j] = 0.0f;
            for (uint e = s + j; e < end; e += 16)
                a[j] = a[j] + p[e];
        }
        for (uint n = 8; n > 0; n /= 2)
            for (uint j = 0; j < n; j++)
                a[j] = a[j] + a[j + n];
        z = s ? z + a[0] : a[0];
    }
    const float inverse = mx_recip(z);
    MX_SYNC();
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
        p[e] = mx_flush(p[e] * inverse);
    MX_SYNC();
}

MX_FN void mx_put_job(__global uint4 *job, uint expert, uint first, uint count) {
    __global uint *to = (__global uint *)job;
    to[0] = expert;
    to[1] = first;
    to[2] = count;
    to[3] = 0;
}

/* g (T, ldg) to selected and weight (T, top_k + shared), experts ascending, the shared parts last. Probabilities are not
 * negative, so their bits are in their order; equal ones: the lower index first. Grid: units are tokens. */
MX_KERNEL(mx_route, __global const float *restrict g, __global int *restrict selected,
                       __global float *restrict weight, uint routed, uint top_k, uint shared, uint flags, uint ldg) {
    MX_SHARED float p[MX_ROUTED_MAX];
    MX_SHARED uint chosen[MX_ROUTED_MAX];
    const ulong t = MX_UNIT(0);
    __global int *s = selected + t * (top_k + shared);
    __global float *w = weight + t * (top_k + shared);
    g += t * ldg;
    mx_softmax(g, routed, p);
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS) {
        const uint mine = as_uint(p[e]);
        uint better = 0;
        for (uint i = 0; i < routed; i++)
            better += as_uint(p[i]) > mine || (as_uint(p[i]) == mine && i < e) ? 1 : 0;
        chosen[e] = better < top_k ? 1 : 0;
    }
    MX_SYNC();
    if (MX_ITEM == 0) {
        float sum = 0.0f;
        uint n = 0;
        for (uint e = 0; e < routed; e++)
            if (chosen[e]) {
                s[n] = (int)e;
                w[n] = p[e];
                sum = n ? sum + p[e] : p[e];
                n++;
            }
        if (flags & MX_NORM_TOPK)
            for (uint i = 0; i < n; i++)
                w[i] = mx_flush(mx_div(w[i], sum));
        const float gate = flags & MX_SHARED_GATE ? mx_flush(mx_sigmoid(g[routed])) : 1.0f;
        for (uint i = 0; i < shared; i++) {
            s[top_k + i] = (int)(routed + i);
            w[top_k + i] = gate;
        }
    }
}

/* Stable counting sort of the entries (token, slot) of selected (T, n) by expert. params: {T}. jobs (min(experts, T n)):
 * {expert, first entry, count, 0} of the experts that have entries, then zeros. rows (T n): token of each entry;
 * entry (T, n): where each went; touched[slot]: how many experts have entries. Grid: one unit. */
MX_KERNEL(mx_sort, __global const int *restrict selected, __global const uint *restrict params,
                      __global uint4 *restrict jobs, __global uint *restrict rows, __global uint *restrict entry,
                      __global uint *restrict touched, uint n, uint experts, uint slot) {
    MX_SHARED uint count[MX_EXPERTS_MAX];
    MX_SHARED uint start[MX_EXPERTS_MAX];
    const uint total = params[0] * n;
#if MX_LANES
    for (uint e = MX_ITEM; e < experts; e += MX_ITEMS) {
        uint c = 0;
        for (uint i = 0; i < total; i++)
            c += (uint)selected[i] == e ? 1 : 0;
        count[e] = c;
    }
#else
    for (uint e = 0; e < experts; e++)
        count[e] = 0;
    for (uint i = 0; i < total; i++)
        count[(uint)selected[i]]++;
#endif
    MX_SYNC();
    if (MX_ITEM == 0) {
        uint sum = 0, job = 0;
        for (uint e = 0; e < experts; e++) {
            start[e] = sum;
            if (count[e])
                mx_put_job(jobs + job++, e, sum, count[e]);
            sum += count[e];
        }
        touched[slot] = job;
        while (job < min(experts, total))
            mx_put_job(jobs + job++, 0, 0, 0);
    }
    MX_SYNC();
#if MX_LANES
    for (uint e = MX_ITEM; e < experts; e += MX_ITEMS) {
        uint at = start[e];
        for (uint i = 0; i < total; i++)
            if ((uint)selected[i] == e) {
                rows[at] = i / n;
                entry[i] = at++;
            }
    }
#else
    for (uint i = 0; i < total; i++) {
        const uint at = start[(uint)selected[i]]++;
        rows[at] = i / n;
        entry[i] = at;
    }
#endif
}

#define MX_SHARE 256u

/* x (T, H) += sum over the token's entries, ascending, of weight (T, n) * out (entries, H). Grid: units are tokens times
 * any number of shares of H. */
MX_KERNEL(mx_combine, __global const float *restrict out, __global const uint *restrict entry,
                         __global const float *restrict weight, __global float *restrict x, uint H, uint n) {
    const ulong t = MX_UNIT(0);
    entry += t * n;
    weight += t * n;
    x += t * H;
    for (uint c = MX_UNIT(1) * MX_SHARE; c < H; c += MX_UNITS(1) * MX_SHARE) {
        const uint end = min(H, c + MX_SHARE);
#if MX_LANES
        for (uint i = c + MX_ITEM; i < end; i += MX_ITEMS) {
            float y = 0.0f;
            for (uint e = 0; e < n; e++)
                y = fma(weight[e], out[(ulong)entry[e] * H + i], y);
            x[i] = mx_flush(x[i] + y);
        }
#else
        for (uint i = c; i < end; i += 16) {
            float16 y = 0.0f;
            for (uint e = 0; e < n; e++)
                y = fma((float16)(weight[e]), mx_load(out + (ulong)entry[e] * H + i, H - i), y);
            mx_store(x + i, mx_flush16(mx_load(x + i, H - i) + y), H - i);
        }
#endif
    }
}
