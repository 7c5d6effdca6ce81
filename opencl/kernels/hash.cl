/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of Merkle leaves, 16 at a time in the lanes of vectors (FIPS 180-4). */
__constant uint mx_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROR(x, n) rotate(x, (uint16)(32 - n))

inline void mx_compress(uint16 *h, uint16 *w) {
    uint16 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], s = h[7];
#pragma unroll
    for (int i = 0; i < 64; i++) {
        if (i >= 16) {
            uint16 x = w[(i + 1) & 15], y = w[(i + 14) & 15];
            w[i & 15] += (ROR(x, 7) ^ ROR(x, 18) ^ (x >> 3)) + w[(i + 9) & 15] + (ROR(y, 17) ^ ROR(y, 19) ^ (y >> 10));
        }
        uint16 t1 = s + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + (g ^ (e & (f ^ g))) + mx_k[i] + w[i & 15];
        uint16 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) | (c & (a | b)));
        s = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
    h[5] += f;
    h[6] += g;
    h[7] += s;
}

inline uint mx_swap(uint x) {
    return as_uint(as_uchar4(x).wzyx);
}

/* leaves[i] = {offset / 4096, bytes}; bytes 0: no leaf. Global: (ceil(N / 16)). */
__kernel void mx_hash_leaves(__global const uchar *window, __global const uint2 *leaves, __global uint *digests, uint N) {
    const uint first = get_global_id(0) * 16;
    uint16 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint16 w[16];
    __global const uint *p[16];
    uint bytes[16], most = 0;
    for (uint i = 0; i < 16; i++) {
        uint2 leaf = first + i < N ? leaves[first + i] : (uint2)(0, 0);
        p[i] = (__global const uint *)(window + (ulong)leaf.x * 4096);
        bytes[i] = leaf.y;
        most = max(most, leaf.y);
    }
    /* "moxie leaf v1" */
    w[0] = 0x6d6f7869;
    w[1] = 0x65206c65;
    w[2] = 0x61662076;
    w[3] = 0x31000000;
    for (uint i = 4; i < 16; i++)
        w[i] = 0;
    mx_compress(h, w);
    const uint16 length = vload16(0, bytes);
    for (uint at = 0; at <= most; at += 64) {
        uint16 old[8];
        for (uint i = 0; i < 8; i++)
            old[i] = h[i];
        for (uint i = 0; i < 16; i++) {
            uint v[16];
            for (uint k = 0; k < 16; k++)
                v[k] = at < bytes[k] ? mx_swap(p[k][at / 4 + i]) : 0;
            w[i] = vload16(0, v);
        }
        const uint16 last = as_uint16(length == (uint16)(at));
        w[0] |= last & 0x80000000u;
        w[15] |= last & ((length + 64) * 8);
        mx_compress(h, w);
        const int16 on = length >= (uint16)(at);
        for (uint i = 0; i < 8; i++)
            h[i] = on ? h[i] : old[i];
    }
    for (uint i = 0; i < 8; i++) {
        uint v[16];
        vstore16(h[i], 0, v);
        for (uint k = 0; k < 16; k++)
            if (first + k < N)
                digests[(first + k) * 8 + i] = v[k];
    }
}
