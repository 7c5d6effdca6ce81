/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of Merkle leaves, 16 at a time: H(64-byte domain block || bytes), where bytes is a multiple of 64.
 * leaves (N): {offset in the window / 4096, bytes}; digests (N, 8): words as SHA-256 counts them.
 * Grid: units are sets of 16 leaves.
 *
 * MX_SHA256: by the SHA instructions of x86, which take two leaves at a time. */

#ifndef MX_SHA256
#define MX_SHA256 0
#endif

__constant uint mx_sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

__constant uint mx_sha_start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

__constant uint mx_leaf_domain[4] = {0x6d6f7869, 0x65206c65, 0x61662076, 0x31000000}; /* "moxie leaf v1" */

/* Statements for j = 0 .. 15, written out: indices are constants from the start, and a leaf takes few rounds of loops
 * (Mesa's llvmpipe ends a work-item's loops without a word after 65535 rounds in all). */
#define MX_ROUND(i, ...)                                                                                               \
    {                                                                                                                  \
        enum { j = i };                                                                                                \
        __VA_ARGS__;                                                                                                   \
    }
#define MX_ROUNDS(...)                                                                                                 \
    MX_ROUND(0, __VA_ARGS__)                                                                                           \
    MX_ROUND(1, __VA_ARGS__)                                                                                           \
    MX_ROUND(2, __VA_ARGS__)                                                                                           \
    MX_ROUND(3, __VA_ARGS__)                                                                                           \
    MX_ROUND(4, __VA_ARGS__)                                                                                           \
    MX_ROUND(5, __VA_ARGS__)                                                                                           \
    MX_ROUND(6, __VA_ARGS__)                                                                                           \
    MX_ROUND(7, __VA_ARGS__)                                                                                           \
    MX_ROUND(8, __VA_ARGS__)                                                                                           \
    MX_ROUND(9, __VA_ARGS__)                                                                                           \
    MX_ROUND(10, __VA_ARGS__)                                                                                          \
    MX_ROUND(11, __VA_ARGS__)                                                                                          \
    MX_ROUND(12, __VA_ARGS__)                                                                                          \
    MX_ROUND(13, __VA_ARGS__)                                                                                          \
    MX_ROUND(14, __VA_ARGS__)                                                                                          \
    MX_ROUND(15, __VA_ARGS__)

#if MX_SHA256
struct mx_sha_state { /* as the instructions want it, A and C highest */
    int4 abef, cdgh;
};

MX_FN int4 mx_sha_two_rounds(int4 cdgh, int4 abef, int4 wk) {
    __asm__("sha256rnds2 %1, %0" : "+x"(cdgh) : "x"(abef), "Yz"(wk));
    return cdgh;
}

MX_FN void mx_sha_four_rounds(struct mx_sha_state *s, int4 wk) {
    s->cdgh = mx_sha_two_rounds(s->cdgh, s->abef, wk);
    s->abef = mx_sha_two_rounds(s->abef, s->cdgh, wk.zwzw);
}

/* The next four words of the message schedule take the place of the oldest of 16, w[j & 3]. */
MX_FN void mx_sha_schedule(int4 *w, uint j) {
    int4 sum = w[j & 3];
    __asm__("sha256msg1 %1, %0" : "+x"(sum) : "x"(w[(j + 1) & 3]));
    sum += (int4)(w[(j + 2) & 3].yzw, w[(j + 3) & 3].x);
    __asm__("sha256msg2 %1, %0" : "+x"(sum) : "x"(w[(j + 3) & 3]));
    w[j & 3] = sum;
}

/* States after blocks v and w, which are used up. Two side by side, because a round waits for the one before it. */
MX_FN void mx_sha_compress(struct mx_sha_state *s, struct mx_sha_state *t, int4 *v, int4 *w) {
    MX_ROUNDS(const int4 k = as_int4(vload4(j, mx_sha_k));
              if (j >= 4) { mx_sha_schedule(v, j); mx_sha_schedule(w, j); }
              mx_sha_four_rounds(s, v[j & 3] + k); mx_sha_four_rounds(t, w[j & 3] + k);)
}

/* Digests of n leaves, 1 or 2. */
MX_FN void mx_sha_hash(__global const uchar *window, __global const uint2 *leaves, __global uint *digests, uint n) {
    const uint4 begin = vload4(0, mx_sha_start), end = vload4(1, mx_sha_start);
    struct mx_sha_state state[2];
    __global const uchar *from[2];
    uint blocks[2];
    for (uint i = 0; i < 2; i++) {
        const uint2 leaf = i < n ? leaves[i] : (uint2)(0);
        from[i] = window + (ulong)leaf.x * 4096;
        blocks[i] = leaf.y / 64;
        state[i].abef = as_int4((uint4)(end.yx, begin.yx));
        state[i].cdgh = as_int4((uint4)(end.wz, begin.wz));
    }
    for (uint b = 0; b < max(blocks[0], blocks[1]) + 2; b++) { /* the domain, the blocks, the length */
        struct mx_sha_state next[2] = {state[0], state[1]};
        int4 w[2][4];
        for (uint i = 0; i < 2; i++) {
            for (uint j = 0; j < 4; j++)
                w[i][j] = 0;
            if (b == 0) {
                w[i][0] = as_int4(vload4(0, mx_leaf_domain));
            } else if (b <= blocks[i]) {
                for (uint j = 0; j < 4; j++)
                    w[i][j] = as_int4(vload16(j, from[i] + (ulong)(b - 1) * 64).s32107654ba98fedc);
            } else {
                w[i][0].x = (int)0x80000000u;
                w[i][3].w = (int)((blocks[i] + 1) * 512);
            }
        }
        mx_sha_compress(&next[0], &next[1], w[0], w[1]);
        for (uint i = 0; i < 2; i++) {
            const int4 live = -(b <= blocks[i] + 1);
            state[i].abef += next[i].abef & live;
            state[i].cdgh += next[i].cdgh & live;
        }
    }
    for (uint i = 0; i < n; i++) {
        vstore4(as_uint4((int4)(state[i].abef.wz, state[i].cdgh.wz)), 2 * i, digests);
        vstore4(as_uint4((int4)(state[i].abef.yx, state[i].cdgh.yx)), 2 * i + 1, digests);
    }
}
#else
MX_FN mx_u mx_big_endian(mx_u w) {
    return (rotate(w, (mx_u)(8u)) & 0x00ff00ffu) | (rotate(w, (mx_u)(24u)) & 0xff00ff00u);
}

#if !MX_LANES
/* Row i becomes column i: four rounds of a perfect shuffle. */
MX_FN void mx_transpose(uint16 *a) {
    for (int round = 0; round < 4; round++) {
        uint16 b[16];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            b[2 * i] = shuffle2(a[i], a[i + 8], (uint16)(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
            b[2 * i + 1] = shuffle2(a[i], a[i + 8], (uint16)(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
        }
#pragma unroll
        for (int i = 0; i < 16; i++)
            a[i] = b[i];
    }
}
#endif

#define MX_ROTATE(x, n) rotate(x, (mx_u)(32u - (n)))

/* state after the block w, which is used up. */
MX_FN void mx_compress(mx_u *state, mx_u *w) {
    mx_u a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (uint i = 0; i < 64; i += 16) {
        MX_ROUNDS(const mx_u t1 = h + (MX_ROTATE(e, 6) ^ MX_ROTATE(e, 11) ^ MX_ROTATE(e, 25)) + bitselect(g, f, e) +
                                  mx_sha_k[i + j] + w[j];
                  const mx_u t2 = (MX_ROTATE(a, 2) ^ MX_ROTATE(a, 13) ^ MX_ROTATE(a, 22)) + bitselect(a, b, c ^ a);
                  h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
                  const mx_u v = w[(j + 1) & 15]; const mx_u u = w[(j + 14) & 15];
                  w[j] = w[j] + (MX_ROTATE(v, 7) ^ MX_ROTATE(v, 18) ^ (v >> 3)) + w[(j + 9) & 15] +
                         (MX_ROTATE(u, 17) ^ MX_ROTATE(u, 19) ^ (u >> 10)))
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g,
        state[7] += h;
}

/* Where 16 leaves (in the lane style this lane's one) lie: place in the window, and blocks of 64 bytes. */
struct mx_leaves {
#if MX_LANES
    ulong from[1];
    uint blocks[1];
#else
    ulong from[16];
    uint blocks[16];
#endif
};

/* Words of block b; a leaf that has ended gives any. */
MX_FN void mx_read_block(__global const uchar *window, const struct mx_leaves *l, uint b, mx_u *w) {
#if MX_LANES
    __global const uint *block = (__global const uint *)(window + l->from[0]) + b * 16;
    MX_ROUNDS(w[j] = mx_big_endian(block[j]))
#else
    MX_ROUNDS(w[j] = vload16(0, (__global const uint *)(window + (b < l->blocks[j] ? l->from[j] + b * 64 : 0))))
    mx_transpose(w);
    MX_ROUNDS(w[j] = mx_big_endian(w[j]))
#endif
}

/* state of the leaves; count: their blocks, longest: the most. */
MX_FN void mx_hash(__global const uchar *window, const struct mx_leaves *l, mx_u count, uint longest, mx_u *state) {
    for (uint i = 0; i < 8; i++)
        state[i] = (mx_u)(mx_sha_start[i]);
    for (uint b = 0; b < longest + 2; b++) { /* the domain, the blocks, the length */
        mx_u w[16], next[8];
        mx_i live = (mx_i)(-1);
        if (b > 0 && b <= longest) {
            mx_read_block(window, l, b - 1, w);
            live = count >= b;
        } else {
            for (uint j = 0; j < 16; j++)
                w[j] = (mx_u)(b > 0 ? 0 : j < 4 ? mx_leaf_domain[j] : 0);
            if (b > 0) {
                w[0] = (mx_u)(0x80000000u);
                w[15] = (count + 1u) * 512u;
            }
        }
        for (uint i = 0; i < 8; i++)
            next[i] = state[i];
        mx_compress(next, w);
        for (uint i = 0; i < 8; i++)
            state[i] = live ? next[i] : state[i];
    }
}
#endif

MX_ENTRY void mx_hash_leaves(__global const uchar *restrict window, __global const uint2 *restrict leaves,
                             __global uint *restrict digests, uint N) {
#if MX_SHA256
    const uint first = MX_UNIT(0) * 16;
    for (uint leaf = first; leaf < min(first + 16, N); leaf += 2)
        mx_sha_hash(window, leaves + leaf, digests + 8 * leaf, min(N - leaf, 2u));
#elif MX_LANES
    struct mx_leaves l;
    mx_u state[8];
    for (uint leaf = get_global_id(0); leaf < N; leaf += get_global_size(0)) {
        l.from[0] = (ulong)leaves[leaf].x * 4096;
        l.blocks[0] = leaves[leaf].y / 64;
        mx_hash(window, &l, l.blocks[0], l.blocks[0], state);
        for (uint i = 0; i < 8; i++)
            digests[8 * leaf + i] = state[i];
    }
#else
    struct mx_leaves l;
    mx_u state[8];
    const uint first = MX_UNIT(0) * 16;
    uint longest = 0;
    for (uint i = 0; i < 16; i++) {
        l.from[i] = first + i < N ? (ulong)leaves[first + i].x * 4096 : 0;
        l.blocks[i] = first + i < N ? leaves[first + i].y / 64 : 0;
        longest = max(longest, l.blocks[i]);
    }
    mx_hash(window, &l, vload16(0, l.blocks), longest, state);
    for (uint i = 0; i < 8; i++) {
        uint word[16];
        vstore16(state[i], 0, word);
        for (uint j = 0; j < 16 && first + j < N; j++)
            digests[8 * (first + j) + i] = word[j];
    }
#endif
}
