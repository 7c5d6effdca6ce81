/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions, the KV cache, attention. */
#include <math.h>
#include <string.h>

#include "runtime/arith.h"
#include "runtime/bundle_format.h"
#include "twin/sum.h"
#include "twin/twin.h"

enum { BLOCK = 64 };

static void put(const struct mx_program_key *key, uint8_t *cache, uint64_t i, float v) {
    uint16_t h = twin_to_half(v);
    if (key->kv == MX_KV_F16)
        memcpy(cache + 2 * i, &h, 2);
    else
        memcpy(cache + 4 * i, &v, 4);
}

static float get(const struct mx_program_key *key, const uint8_t *cache, uint64_t i) {
    uint16_t h;
    float v;
    memcpy(&h, cache + 2 * i, 2);
    if (key->kv == MX_KV_F16)
        return twin_half(h);
    memcpy(&v, cache + 4 * i, 4);
    return v;
}

void twin_rope_table(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t half = arg[10].u;
    const struct twin_tensor t = twin_tensor(key, arg, 0, 1);
    for (uint32_t i = 0; i < tokens; i++)
        for (uint32_t j = 0; j < half; j++) {
            float inv_freq, s, c;
            memcpy(&inv_freq, t.data + 4 * j, 4);
            mx_sincos((float)((const int32_t *)arg[8].mem)[i] * inv_freq, &s, &c);
            ((float *)arg[9].mem)[2 * (i * half + j)] = mx_flush(c);
            ((float *)arg[9].mem)[2 * (i * half + j) + 1] = mx_flush(s);
        }
}

void twin_rope_kv(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t heads = arg[17].u, kv_heads = arg[18].u, d = arg[19].u, pool = arg[20].u, max_blocks = arg[21].u;
    const struct twin_tensor bias = twin_tensor(key, arg + 1, 0, 1);
    const float *cs = arg[9].mem;
    for (uint32_t t = 0; t < tokens; t++) {
        const uint32_t p = ((const uint32_t *)arg[10].mem)[t], s = ((const uint32_t *)arg[11].mem)[t];
        const uint64_t block =
            p / BLOCK < max_blocks ? ((const uint32_t *)arg[12].mem)[s * max_blocks + p / BLOCK] : pool;
        for (uint32_t h = 0; h < heads + 2 * kv_heads; h++) {
            float y[MX_HEAD_DIM_MAX];
            if (block >= pool) {
                *(int32_t *)arg[16].mem |= 2;
                continue;
            }
            for (uint32_t i = 0; i < d; i++) {
                float b;
                y[i] = ((const float *)arg[0].mem)[((uint64_t)t * (heads + 2 * kv_heads) + h) * d + i];
                if (bias.data) {
                    memcpy(&b, bias.data + 4 * (h * d + i), 4);
                    y[i] = mx_flush(y[i] + b);
                }
            }
            for (uint32_t i = 0; h < heads + kv_heads && i < d / 2; i++) {
                float c = cs[2 * (t * (d / 2) + i)], sine = cs[2 * (t * (d / 2) + i) + 1], u = y[i], v = y[i + d / 2];
                float vs = v * sine, us = u * sine;
                y[i] = mx_flush(fmaf(u, c, -vs));
                y[i + d / 2] = mx_flush(fmaf(v, c, us));
            }
            for (uint32_t i = 0; i < d; i++) {
                if (!isfinite(y[i]))
                    *(int32_t *)arg[16].mem |= 1;
                if (h < heads)
                    ((float *)arg[13].mem)[((uint64_t)t * heads + h) * d + i] = y[i];
                else if (h < heads + kv_heads)
                    put(key, arg[14].mem, (((h - heads) * pool + block) * d + i) * BLOCK + p % BLOCK, y[i]);
                else
                    put(key, arg[15].mem, (((h - heads - kv_heads) * pool + block) * BLOCK + p % BLOCK) * d + i, y[i]);
            }
        }
    }
}

void twin_kv_copy(const struct mx_program_key *key, const union twin_arg *arg, uint32_t pairs) {
    const size_t bytes = (size_t)arg[4].u * BLOCK * (key->kv == MX_KV_F16 ? 2 : 4);
    for (uint32_t i = 0; i < pairs; i++)
        for (size_t h = 0; h < arg[3].u; h++)
            for (int part = 0; part < 2; part++) {
                const uint32_t *pair = (const uint32_t *)arg[2].mem + 2 * i;
                uint8_t *head = (uint8_t *)arg[part].mem + h * arg[5].u * bytes;
                memcpy(head + pair[1] * bytes, head + pair[0] * bytes, bytes);
            }
}

/* One query head of one token; query and result have d values. */
static void attend(const struct mx_program_key *key, const union twin_arg *arg, uint32_t t, uint32_t h) {
    const uint32_t heads = arg[7].u, d = arg[9].u, pool = arg[10].u, kv = h / (heads / arg[8].u);
    const uint32_t p = ((const uint32_t *)arg[3].mem)[t];
    const uint32_t *table = (const uint32_t *)arg[5].mem + ((const uint32_t *)arg[4].mem)[t] * arg[11].u;
    const float *q = (const float *)arg[0].mem + ((uint64_t)t * heads + h) * d;
    float m = 0, l = 0, o[MX_HEAD_DIM_MAX];
    for (uint32_t b = 0; b <= p / BLOCK; b++) {
        const uint64_t at = ((uint64_t)kv * pool + table[b]) * d * BLOCK;
        const uint32_t live = p - b * BLOCK < BLOCK ? p - b * BLOCK + 1 : BLOCK;
        float score[BLOCK], e[BLOCK] = {0}, m_b = -INFINITY;
        for (uint32_t j = 0; j < live; j++) {
            float s = 0;
            for (uint32_t i = 0; i < d; i++)
                s = fmaf(q[i], get(key, arg[1].mem, at + i * BLOCK + j), s);
            score[j] = mx_flush(s * arg[12].f);
            m_b = score[j] > m_b ? score[j] : m_b;
        }
        for (uint32_t j = 0; j < live; j++)
            e[j] = mx_exp(score[j] - m_b);
        const float l_b = twin_lanesum(e, BLOCK, false), top = b == 0 || m_b > m ? m_b : m;
        const float alpha = b ? mx_exp(m - top) : 0, beta = mx_exp(m_b - top), l_new = l_b * beta;
        for (uint32_t i = 0; i < d; i++) {
            float s = 0;
            for (uint32_t j = 0; j < live; j++)
                s = fmaf(e[j], get(key, arg[2].mem, at + j * d + i), s);
            s = mx_flush(s);
            o[i] = b ? mx_flush(fmaf(o[i], alpha, mx_flush(s * beta))) : s;
        }
        l = b ? fmaf(l, alpha, l_new) : l_b;
        m = top;
    }
    for (uint32_t i = 0; i < d; i++)
        ((float *)arg[6].mem)[((uint64_t)t * heads + h) * d + i] = mx_flush(o[i] * mx_recip(l));
}

void twin_attention(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    for (uint32_t t = 0; t < tokens; t++)
        for (uint32_t h = 0; h < arg[7].u; h++)
            attend(key, arg, t, h);
}
