/* SPDX-License-Identifier: Apache-2.0
 *
 * Mixture of experts around its matrices. */
#include <math.h>
#include <string.h>

#include "runtime/arith.h"
#include "runtime/bundle_format.h"
#include "twin/sum.h"
#include "twin/twin.h"

/* The arguments of mx_route behind its buffers. */
struct router {
    uint32_t routed, top_k, shared, flags, ldg, first, constants, copies, zeros;
    float deviation;
};

/* Element (row, k) of the router's second matrix. */
static float more(const struct twin_tensor *t, uint32_t row, uint32_t k) {
    const uint64_t columns = (t->K + 31) / 32 * 32;
    float w;
    memcpy(&w, t->data + 4 * ((row / 16 * columns + k) * 16 + row % 16), 4);
    return w;
}

/* Logits of one token: through the second layer, and what the layer before hands on. */
static void finish_logits(const struct router *r, const struct twin_tensor *t, float *g, float *carried, float *logit) {
    const bool two = r->flags & MX_LAYER_TWO_LAYERS;
    for (uint32_t i = 0; two && i < r->first; i++)
        g[i] = mx_tanh(g[i]);
    for (uint32_t e = 0; e < r->routed; e++) {
        float y = two ? 0 : g[e];
        for (uint32_t k = 0; two && k < r->first; k++)
            y = fmaf(more(t, e, k), g[k], y);
        for (uint32_t k = 0; r->flags & MX_LAYER_CARRIED && k < r->routed; k++)
            y = fmaf(more(t, two ? r->routed + e : e, k), carried[k], y);
        logit[e] = mx_flush(y);
    }
    if (r->flags & 0x80000000u)
        memcpy(carried, logit, r->routed * sizeof *logit);
}

static void standardise(float *logit, uint32_t routed, float deviation) {
    float apart[MX_ROUTED_MAX], of = -mx_recip((float)routed), sum = twin_lanesum(logit, routed, false), r = 0;
    for (uint32_t e = 0; e < routed; e++)
        apart[e] = mx_flush(fmaf(sum, of, logit[e]));
    const float squares = twin_lanesum(apart, routed, true);
    if (squares > 0) {
        const float variance = squares * mx_recip((float)(routed - 1));
        r = mx_rsqrt(variance) * deviation;
    }
    for (uint32_t e = 0; e < routed; e++)
        logit[e] = mx_flush(logit[e] * r);
}

/* What light experts add: of the input, then of each constant. */
static void light_factors(const struct router *r, const int32_t *selected, const float *weight, const float *mix,
                          float *light) {
    memset(light, 0, (1 + r->constants) * sizeof *light);
    for (uint32_t i = 0; i < r->top_k; i++) {
        const uint32_t first = r->routed - r->constants - r->copies - r->zeros + r->shared;
        const uint32_t e = (uint32_t)selected[i];
        if (e < first || e >= first + r->constants + r->copies)
            continue;
        if (e >= first + r->constants) {
            light[0] = light[0] + weight[i];
            continue;
        }
        const float apart = mix[2 * (e - first)] - mix[2 * (e - first) + 1];
        light[0] = fmaf(weight[i], mx_flush(mx_sigmoid(apart)), light[0]);
        light[1 + e - first] = mx_flush(weight[i] * mx_flush(mx_sigmoid(-apart)));
    }
    light[0] = mx_flush(light[0]);
}

/* The top_k experts of the largest probability in ascending order, their weights, then the shared parts. */
static void choose(const struct router *r, const float *logit, float gate, int32_t *selected, float *weight) {
    float p[MX_ROUTED_MAX], m = logit[0], sum = 0;
    bool taken[MX_ROUTED_MAX] = {false};
    const uint32_t light = r->constants + r->copies + r->zeros;
    for (uint32_t e = 1; e < r->routed; e++)
        m = logit[e] > m ? logit[e] : m;
    for (uint32_t e = 0; e < r->routed; e++)
        p[e] = mx_exp(logit[e] - m);
    const float inverse = mx_recip(twin_lanesum(p, r->routed, false));
    for (uint32_t e = 0; e < r->routed; e++)
        p[e] = mx_flush(p[e] * inverse);
    for (uint32_t i = 0; i < r->top_k; i++) {
        uint32_t best = 0;
        while (taken[best])
            best++;
        for (uint32_t e = best + 1; e < r->routed; e++)
            if (!taken[e] && p[e] > p[best])
                best = e;
        taken[best] = true;
    }
    for (uint32_t e = 0, n = 0; e < r->routed; e++)
        if (taken[e]) {
            selected[n] = (int32_t)(e < r->routed - light ? e : e + r->shared);
            weight[n] = (r->flags & MX_LAYER_ZERO_APART) && e >= r->routed - r->zeros ? 0 : p[e];
            sum = n ? sum + weight[n] : weight[n];
            n++;
        }
    for (uint32_t i = 0; (r->flags & MX_LAYER_NORM_TOPK) && i < r->top_k; i++)
        weight[i] = sum > 0 ? mx_flush(mx_div(weight[i], sum)) : 0;
    for (uint32_t i = 0; i < r->shared; i++) {
        selected[r->top_k + i] = (int32_t)(r->routed - light + i);
        weight[r->top_k + i] = r->flags & MX_LAYER_SHARED_GATE ? mx_flush(mx_sigmoid(gate)) : 1;
    }
}

void twin_route(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t kinds = arg[19].u;
    const struct router r = {.routed = arg[13].u,
                             .top_k = arg[14].u,
                             .shared = arg[15].u,
                             .flags = arg[16].u,
                             .ldg = arg[17].u,
                             .first = arg[18].u,
                             .constants = kinds & 255,
                             .copies = kinds >> 8 & 255,
                             .zeros = kinds >> 16,
                             .deviation = arg[20].f};
    const struct twin_tensor t = twin_tensor(key, arg, 0, r.first);
    const uint32_t n = r.top_k + r.shared;
    for (uint64_t token = 0; token < tokens; token++) {
        float *g = (float *)arg[8].mem + token * r.ldg, *weight = (float *)arg[11].mem + token * n;
        float logit[MX_ROUTED_MAX] = {0};
        int32_t *selected = (int32_t *)arg[10].mem + token * n;
        finish_logits(&r, &t, g, (float *)arg[9].mem + token * r.routed, logit);
        if (r.deviation > 0)
            standardise(logit, r.routed, r.deviation);
        choose(&r, logit, g[r.ldg - 1], selected, weight);
        if (kinds)
            light_factors(&r, selected, weight, g + r.first, (float *)arg[12].mem + token * (1 + r.constants));
    }
}

void twin_sort(const struct mx_program_key *key, const union twin_arg *arg, uint32_t one) {
    const uint32_t *selected = arg[0].mem, n = arg[6].u, experts = arg[7].u, total = *(uint32_t *)arg[1].mem * n;
    uint32_t *jobs = arg[2].mem, *rows = arg[3].mem, *entry = arg[4].mem, job = 0, at = 0;
    (void)key;
    (void)one;
    for (uint32_t e = 0; e < experts; e++) {
        const uint32_t first = at;
        for (uint32_t i = 0; i < total; i++)
            if (selected[i] == e) {
                rows[at] = i / n;
                entry[i] = at++;
            }
        if (at > first)
            memcpy(jobs + 4 * job++, (uint32_t[4]){e, first, at - first, 0}, 16);
    }
    ((uint32_t *)arg[5].mem)[arg[8].u] = job;
    for (uint32_t i = 0; i < total; i++)
        if (selected[i] >= experts)
            entry[i] = MX_NONE;
    ((uint32_t *)arg[1].mem)[1] = at;
    for (; job < (experts < total ? experts : total); job++)
        memset(jobs + 4 * job, 0, 16);
}

void twin_keep(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t n = arg[2].u, layers = arg[3].u, layer = arg[4].u;
    (void)key;
    for (uint32_t t = 0; t < tokens; t++)
        memcpy((uint32_t *)arg[1].mem + ((size_t)t * layers + layer) * n, (const uint32_t *)arg[0].mem + (size_t)t * n,
               4 * (size_t)n);
}

void twin_combine(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t *entry = arg[9].mem, H = arg[14].u, n = arg[15].u, lights = arg[16].u;
    const float *out = arg[8].mem, *weight = arg[10].mem, *normed = arg[11].mem, *light = arg[12].mem;
    const struct twin_tensor constants = twin_tensor(key, arg, 0, 1);
    float *x = arg[13].mem;
    for (uint64_t t = 0; t < tokens; t++)
        for (uint32_t i = 0; i < H; i++) {
            float y = 0;
            for (uint32_t e = 0; e < n; e++)
                if (entry[t * n + e] != MX_NONE)
                    y = fmaf(weight[t * n + e], out[(uint64_t)entry[t * n + e] * H + i], y);
            for (uint32_t j = 0; j < lights; j++) {
                float v = normed[t * H + i];
                if (j)
                    memcpy(&v, constants.data + 4ull * ((j - 1) * H + i), 4);
                y = fmaf(light[t * lights + j], v, y);
            }
            x[t * H + i] = mx_flush(x[t * H + i] + y);
        }
}
