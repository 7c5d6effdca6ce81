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

static size_t block_bytes(const struct mx_program_key *key, uint32_t d) {
    return BLOCK * (key->kv == MX_KV_I8 ? d + 1u : d * (key->kv == MX_KV_F16 ? 2u : 4u));
}

/* Element i of a block. */
static void put(const struct mx_program_key *key, uint8_t *block, uint32_t i, float v) {
    uint16_t h = twin_to_half(v);
    if (key->kv == MX_KV_I8)
        ((int8_t *)block)[i] = (int8_t)v;
    else if (key->kv == MX_KV_F16)
        memcpy(block + 2 * i, &h, 2);
    else
        memcpy(block + 4 * i, &v, 4);
}

static float get(const struct mx_program_key *key, const uint8_t *block, uint32_t i) {
    uint16_t h;
    float v;
    if (key->kv == MX_KV_I8)
        return ((const int8_t *)block)[i];
    if (key->kv == MX_KV_F16) {
        memcpy(&h, block + 2 * i, 2);
        return twin_half(h);
    }
    memcpy(&v, block + 4 * i, 4);
    return v;
}

/* Eight steps from each power of two to the next, from 2^-23 on. */
static float scale_of(uint32_t byte) {
    return ldexpf(8 + (float)(byte % 8), (int)(byte / 8) - 26);
}

/* x with the scale of a position, of integers. */
static float scaled(const struct mx_program_key *key, float x, const uint8_t *block, uint32_t d, uint32_t slot) {
    return key->kv == MX_KV_I8 ? x * scale_of(block[BLOCK * d + slot]) : x;
}

/* Makes integers of the d values of a position. Gives the scale's byte: the first that reaches. */
static uint8_t quantise(float *y, uint32_t d) {
    float most = 0;
    uint32_t byte = 0;
    for (uint32_t i = 0; i < d; i++)
        most = fabsf(y[i]) > most ? fabsf(y[i]) : most;
    most = most * 0x1.020408p-7f;
    while (byte < 255 && scale_of(byte) < most)
        byte++;
    for (uint32_t i = 0; i < d; i++)
        y[i] = mx_clamp(rintf(y[i] * mx_recip(scale_of(byte))), -127, 127);
    return (uint8_t)byte;
}

/* Keys, or values, y of one head at one position into a block. */
static void keep(const struct mx_program_key *key, float *y, uint32_t d, uint8_t *block, uint32_t slot, bool keys) {
    if (key->kv == MX_KV_I8)
        block[BLOCK * d + slot] = quantise(y, d);
    for (uint32_t i = 0; i < d; i++)
        put(key, block, keys ? i * BLOCK + slot : slot * d + i, y[i]);
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
            bool good = true;
            for (uint32_t i = 0; i < d; i++)
                good = good && isfinite(y[i]);
            if (h < heads) {
                memcpy((float *)arg[13].mem + ((uint64_t)t * heads + h) * d, y, d * sizeof y[0]);
            } else {
                const bool keys = h < heads + kv_heads;
                const uint32_t kv_head = h - heads - (keys ? 0 : kv_heads);
                uint8_t *to = (uint8_t *)arg[keys ? 14 : 15].mem + (kv_head * pool + block) * block_bytes(key, d);
                keep(key, y, d, to, p % BLOCK, keys);
            }
            if (!good)
                *(int32_t *)arg[16].mem |= 1;
        }
    }
}

void twin_kv_copy(const struct mx_program_key *key, const union twin_arg *arg, uint32_t pairs) {
    const size_t bytes = block_bytes(key, arg[4].u);
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
        const uint64_t at = ((uint64_t)kv * pool + table[b]) * block_bytes(key, d);
        const uint8_t *keys = (const uint8_t *)arg[1].mem + at, *values = (const uint8_t *)arg[2].mem + at;
        const uint32_t live = p - b * BLOCK < BLOCK ? p - b * BLOCK + 1 : BLOCK;
        float score[BLOCK], e[BLOCK] = {0}, m_b = -INFINITY;
        for (uint32_t j = 0; j < live; j++) {
            float s = 0;
            for (uint32_t i = 0; i < d; i++)
                s = fmaf(q[i], get(key, keys, i * BLOCK + j), s);
            score[j] = mx_flush(scaled(key, s, keys, d, j) * arg[12].f);
            m_b = score[j] > m_b ? score[j] : m_b;
        }
        for (uint32_t j = 0; j < live; j++)
            e[j] = mx_exp(score[j] - m_b);
        const float l_b = twin_lanesum(e, BLOCK, false);
        for (uint32_t j = 0; j < live; j++)
            e[j] = scaled(key, e[j], values, d, j);
        const float top = b == 0 || m_b > m ? m_b : m;
        const float alpha = b ? mx_exp(m - top) : 0, beta = mx_exp(m_b - top), l_new = l_b * beta;
        for (uint32_t i = 0; i < d; i++) {
            float s = 0;
            for (uint32_t j = 0; j < live; j++)
                s = fmaf(e[j], get(key, values, j * d + i), s);
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
