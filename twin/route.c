/* SPDX-License-Identifier: Apache-2.0
 *
 * Mixture of experts around its matrices. */
#include <math.h>
#include <string.h>

#include "runtime/arith.h"
#include "runtime/bundle_format.h"
#include "twin/sum.h"
#include "twin/twin.h"

static void route_token(const float *g, int32_t *selected, float *weight, uint32_t routed, uint32_t top_k,
                        uint32_t shared, uint32_t flags) {
    float p[MX_ROUTED_MAX], m = g[0], sum = 0;
    bool taken[MX_ROUTED_MAX] = {false};
    for (uint32_t e = 1; e < routed; e++)
        m = g[e] > m ? g[e] : m;
    for (uint32_t e = 0; e < routed; e++)
        p[e] = mx_exp(g[e] - m);
    const float inverse = mx_recip(twin_lanesum(p, routed, false));
    for (uint32_t e = 0; e < routed; e++)
        p[e] = mx_flush(p[e] * inverse);
    for (uint32_t i = 0; i < top_k; i++) {
        uint32_t best = 0;
        while (taken[best])
            best++;
        for (uint32_t e = best + 1; e < routed; e++)
            if (!taken[e] && p[e] > p[best])
                best = e;
        taken[best] = true;
    }
    for (uint32_t e = 0, n = 0; e < routed; e++)
        if (taken[e]) {
            selected[n] = (int32_t)e;
            weight[n] = p[e];
            sum = n ? sum + p[e] : p[e];
            n++;
        }
    for (uint32_t i = 0; (flags & MX_LAYER_NORM_TOPK) && i < top_k; i++)
        weight[i] = mx_flush(mx_div(weight[i], sum));
    for (uint32_t i = 0; i < shared; i++) {
        selected[top_k + i] = (int32_t)(routed + i);
        weight[top_k + i] = flags & MX_LAYER_SHARED_GATE ? mx_flush(mx_sigmoid(g[routed])) : 1;
    }
}

void twin_route(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t n = arg[4].u + arg[5].u;
    (void)key;
    for (uint64_t t = 0; t < tokens; t++)
        route_token((const float *)arg[0].mem + t * arg[7].u, (int32_t *)arg[1].mem + t * n,
                    (float *)arg[2].mem + t * n, arg[3].u, arg[4].u, arg[5].u, arg[6].u);
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
    for (; job < (experts < total ? experts : total); job++)
        memset(jobs + 4 * job, 0, 16);
}

void twin_combine(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t *entry = arg[1].mem, H = arg[4].u, n = arg[5].u;
    const float *out = arg[0].mem, *weight = arg[2].mem;
    float *x = arg[3].mem;
    (void)key;
    for (uint64_t t = 0; t < tokens; t++)
        for (uint32_t i = 0; i < H; i++) {
            float y = 0;
            for (uint32_t e = 0; e < n; e++)
                y = fmaf(weight[t * n + e], out[(uint64_t)entry[t * n + e] * H + i], y);
            x[t * H + i] = mx_flush(x[t * H + i] + y);
        }
}
