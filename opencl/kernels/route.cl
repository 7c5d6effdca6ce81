/* SPDX-License-Identifier: Apache-2.0
 *
 * Mixture of experts around its matrices: choosing experts, sorting tokens by expert, combining what experts gave. */

#define MX_ROUTED_MAX 1024u
#define MX_TOP_K_MAX 16u
#define MX_EXPERTS_MAX (MX_ROUTED_MAX + 64u)
#define MX_NORM_TOPK 1u /* flags of a layer */
#define MX_SHARED_GATE 2u
#define MX_TWO_LAYERS 8u
#define MX_CARRIED 16u
#define MX_ZERO_APART 32u
#define MX_CARRY_ON 0x80000000u /* the next layer wants the logits */

/* lanesum of v (n), or of its squares; every work-item adds all of it. */
MX_FN float mx_sum(MX_SHARED const float *v, uint n, bool squares) {
    float sum = 0.0f;
    for (uint s = 0; s < n; s += MX_SEGMENT) {
        float a[16];
        const uint end = min(n, s + MX_SEGMENT);
        for (uint j = 0; j < 16; j++) {
            a[j] = 0.0f;
            for (uint e = s + j; e < end; e += 16)
                a[j] = squares ? fma(v[e], v[e], a[j]) : a[j] + v[e];
        }
        for (uint h = 8; h > 0; h /= 2)
            for (uint j = 0; j < h; j++)
                a[j] = a[j] + a[j + h];
        sum = s ? sum + a[0] : a[0];
    }
    return sum;
}

/* y + row `row` of a float32 matrix with rows of K values, times x (n). */
MX_FN float mx_times(__global const float *w, uint K, uint row, __global const float *x, uint n, float y) {
    w += (ulong)(row / 16) * ((K + 31) / 32 * 512) + row % 16;
    for (uint k = 0; k < n; k++)
        y = fma(w[16 * k], x[k], y);
    return y;
}

/* g (routed): scaled to the standard deviation `deviation`; all 0 when it has none. Uses p. */
MX_APART void mx_standardise(MX_SHARED float *g, MX_SHARED float *p, uint routed, float deviation) {
    const float mean = mx_sum(g, routed, false), of = -mx_recip(convert_float(routed));
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
        p[e] = mx_flush(fma(mean, of, g[e]));
    MX_SYNC();
    const float squares = mx_sum(p, routed, true), variance = squares * mx_recip(convert_float(routed - 1));
    const float r = squares > 0.0f ? mx_rsqrt(variance) * deviation : 0.0f;
    MX_SYNC();
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
        g[e] = mx_flush(g[e] * r);
    MX_SYNC();
}

/* p (routed) = softmax of g. Ends with a barrier. */
MX_APART void mx_softmax(MX_SHARED const float *g, uint routed, MX_SHARED float *p) {
    float m = g[0];
    for (uint e = 1; e < routed; e++)
        m = g[e] > m ? g[e] : m;
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
        p[e] = mx_exp(g[e] - m);
    MX_SYNC();
    const float inverse = mx_recip(mx_sum(p, routed, false));
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

/* The factors of what light experts add, for mx_combine: of the normed input, then of each constant. i: number of the
 * first light expert; mix: two numbers for each constant expert. */
MX_APART void mx_light(__global const int *s, __global const float *w, uint n, uint i, uint constants, uint copies,
                    __global const float *mix, __global float *light) {
    float of_input = 0.0f;
    for (uint j = 0; j < constants; j++)
        light[1 + j] = 0.0f;
    for (uint k = 0; k < n; k++) {
        const uint j = (uint)s[k] - i;
        if ((uint)s[k] >= i && j < constants) {
            const float apart = mix[2 * j] - mix[2 * j + 1];
            of_input = fma(w[k], mx_flush(mx_sigmoid(apart)), of_input);
            light[1 + j] = mx_flush(w[k] * mx_flush(mx_sigmoid(-apart)));
        } else if ((uint)s[k] >= i && j < constants + copies) {
            of_input = of_input + w[k];
        }
    }
    light[0] = mx_flush(of_input);
}

/* g (T, ldg) to selected and weight (T, top_k + shared): experts ascending, the shared parts last. Numbers in selected:
 * experts with matrices, the shared parts, light experts. Probabilities are not negative, so their bits are in their
 * order; equal ones: the lower index first.
 * A row of g: `first` outputs of the router's first layer (the logits when it has one), two for each constant expert, one
 * for the shared gate. Tensor: MX_ROLE_ROUTER_MORE, absent without a second layer and carried logits. carried
 * (T, routed): in, the logits of the layer before; out, those of this one. light (T, 1 + constants).
 * kinds: constants + copies * 2^8 + zeros * 2^16. deviation: 0 or that of the scaled logits. Grid: units are tokens. */
MX_KERNEL(mx_route, MX_WEIGHTS, __global float *restrict g, __global float *restrict carried,
                       __global int *restrict selected, __global float *restrict weight, __global float *restrict light,
                       uint routed, uint top_k, uint shared, uint flags, uint ldg, uint first, uint kinds,
                       float deviation) {
    MX_SHARED float logit[MX_ROUTED_MAX];
    MX_SHARED float p[MX_ROUTED_MAX];
    MX_SHARED uint chosen[MX_ROUTED_MAX];
    const ulong t = MX_UNIT(0);
    const uint constants = kinds & 255, copies = kinds >> 8 & 255, zeros = kinds >> 16;
    const uint whole = routed - constants - copies - zeros; /* experts with matrices */
    __global const float *more = (__global const float *)(MX_BASE(segment) + data);
    __global int *s = selected + t * (top_k + shared);
    __global float *w = weight + t * (top_k + shared);
    g += t * ldg;
    carried += t * routed;
    if (flags & MX_TWO_LAYERS)
        for (uint i = MX_ITEM; i < first; i += MX_ITEMS)
            g[i] = mx_tanh(g[i]);
    MX_SYNC();
    for (uint e = MX_ITEM; e < routed; e += MX_ITEMS) {
        const bool two = flags & MX_TWO_LAYERS;
        float y = two ? mx_times(more, first, e, g, first, 0.0f) : g[e];
        if (flags & MX_CARRIED)
            y = mx_times(more, first, two ? routed + e : e, carried, routed, y);
        logit[e] = mx_flush(y);
    }
    MX_SYNC();
    if (flags & MX_CARRY_ON)
        for (uint e = MX_ITEM; e < routed; e += MX_ITEMS)
            carried[e] = logit[e];
    if (deviation > 0.0f)
        mx_standardise(logit, p, routed, deviation);
    mx_softmax(logit, routed, p);
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
                const float mine = flags & MX_ZERO_APART && e >= routed - zeros ? 0.0f : p[e];
                s[n] = (int)(e < whole ? e : e + shared);
                w[n] = mine;
                sum = n ? sum + mine : mine;
                n++;
            }
        if (flags & MX_NORM_TOPK)
            for (uint i = 0; i < n; i++)
                w[i] = sum > 0.0f ? mx_flush(mx_div(w[i], sum)) : 0.0f;
        const float gate = flags & MX_SHARED_GATE ? mx_flush(mx_sigmoid(g[ldg - 1])) : 1.0f;
        for (uint i = 0; i < shared; i++) {
            s[top_k + i] = (int)(whole + i);
            w[top_k + i] = gate;
        }
        if (kinds)
            mx_light(s, w, top_k, whole + shared, constants, copies, g + first, light + t * (1 + constants));
    }
}

/* Stable counting sort of the entries (token, slot) of selected (T, n) by expert. params: in {T}, out {T, entries in the
 * list}. jobs (min(experts, T n)): {expert, first entry, count, 0} of the experts that have entries, then zeros. rows
 * (T n): token of each entry; entry (T, n): where each went, NONE for numbers from `experts` on: light experts have no
 * matrices to be sorted for; touched[slot]: how many experts have entries. Grid: one unit. */
MX_KERNEL(mx_sort, __global const int *restrict selected, __global uint *restrict params,
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
        if ((uint)selected[i] < experts)
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
        params[1] = sum;
    }
    MX_SYNC();
#if MX_LANES
    for (uint i = MX_ITEM; i < total; i += MX_ITEMS)
        if ((uint)selected[i] >= experts)
            entry[i] = MX_NONE;
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
        if ((uint)selected[i] >= experts) {
            entry[i] = MX_NONE;
            continue;
        }
        const uint at = start[(uint)selected[i]]++;
        rows[at] = i / n;
        entry[i] = at;
    }
#endif
}

/* selected (T, n) to the places of `layer` in kept (T, layers, n). Grid: units are tokens. */
MX_KERNEL(mx_keep, __global const int *restrict selected, __global int *restrict kept, uint n, uint layers,
          uint layer) {
    const ulong t = MX_UNIT(0);
    for (uint i = MX_ITEM; i < n; i += MX_ITEMS)
        kept[(t * layers + layer) * n + i] = selected[t * n + i];
}

#define MX_SHARE 256u

/* x (T, H) += sum over the token's entries, ascending, of weight (T, n) * out (entries, H), then of light (T, lights) times
 * normed (T, H) and the constants, vectors of the tensor; lights is 0 in layers without light experts, and then neither
 * is read. Grid: units are tokens times any number of shares of H. */
MX_KERNEL(mx_combine, MX_WEIGHTS, __global const float *restrict out, __global const uint *restrict entry,
                         __global const float *restrict weight, __global const float *restrict normed,
                         __global const float *restrict light, __global float *restrict x, uint H, uint n,
                         uint lights) {
    const ulong t = MX_UNIT(0);
    __global const float *constants = (__global const float *)(MX_BASE(segment) + data);
    entry += t * n;
    weight += t * n;
    normed += t * H;
    light += t * lights;
    x += t * H;
    for (uint c = MX_UNIT(1) * MX_SHARE; c < H; c += MX_UNITS(1) * MX_SHARE) {
        const uint end = min(H, c + MX_SHARE);
#if MX_LANES
        for (uint i = c + MX_ITEM; i < end; i += MX_ITEMS) {
            float y = 0.0f;
            for (uint e = 0; e < n; e++)
                if (entry[e] != MX_NONE)
                    y = fma(weight[e], out[(ulong)entry[e] * H + i], y);
            for (uint j = 0; j < lights; j++)
                if (light[j] != 0.0f)
                    y = fma(light[j], j ? constants[(j - 1) * H + i] : normed[i], y);
            x[i] = mx_flush(x[i] + y);
        }
#else
        for (uint i = c; i < end; i += 16) {
            float16 y = 0.0f;
            for (uint e = 0; e < n; e++)
                if (entry[e] != MX_NONE)
                    y = fma((float16)(weight[e]), mx_load(out + (ulong)entry[e] * H + i, H - i), y);
            for (uint j = 0; j < lights; j++)
                if (light[j] != 0.0f)
                    y = fma((float16)(light[j]), mx_load(j ? constants + (j - 1) * H + i : normed + i, H - i), y);
            mx_store(x + i, mx_flush16(mx_load(x + i, H - i) + y), H - i);
        }
#endif
    }
}
