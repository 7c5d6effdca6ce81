/* SPDX-License-Identifier: Apache-2.0
 *
 * Many launches as one, for processors, whose drivers take longer to start and to end a launch than small kernels run.
 * One work-item for each core goes through a list of operations. Of each it takes units until none is left, then waits
 * until the others have finished theirs. It never waits for a work-item that may not have started: what is taken is
 * being computed, and a work-item that is alone does everything.
 *
 * In step, at multiples of 4096 bytes: ops (n) records of 32 words, by opencl/sequence.c: {kernel, base[3], divide[3],
 * scales and needs, 24 arguments}; counts of the step, as enum mx_count of opencl/launch.h numbers them; progress (n)
 * rows of 16 words, zero before a step: {shares taken, 0 .. 0, units done, 0 .. 0}. An argument is a value, a place in
 * step or session / 4096, or a place in window w0 .. w3 / 4096 * 4 + the window's number.
 * Operations first .. end - 1 are run; those before them are done. */

#undef mx_x /* of float32.cl */
#undef mx_linear

#define MX_OP_LINEAR 4u
#define MX_OP_WORDS 32u
#define MX_PROGRESS_WORDS 16u

/* Where an operation finds its arguments. */
struct mx_memory {
    __global uchar *step, *session;
    __global const uchar *window[4];
};

#define MX_ARG(i) op[8 + (i)]
#define MX_STEP(type, i) ((__global type *)(m->step + (ulong)MX_ARG(i) * 4096))
#define MX_CACHE(i) (m->session + (ulong)MX_ARG(i) * 4096)
#define MX_REAL(i) as_float(MX_ARG(i))
/* the WEIGHTS arguments from i on */
#define MX_WINDOW(i) (m->window[MX_ARG(i) & 3u] + (ulong)(MX_ARG(i) >> 2) * 4096)
#define MX_TENSOR(i)                                                                                                   \
    MX_WINDOW(i), MX_WINDOW(i + 1), MX_ARG(i + 2), MX_STEP(const uint2, i + 3), MX_ARG(i + 4), MX_ARG(i + 5),          \
        MX_ARG(i + 6), MX_ARG(i + 7)

/* One unit of one operation. The cases are in the order of opencl/sequence.c. Apart, because PoCL compiles the text of a
 * kernel itself three times. */
MX_APART void mx_operation(__global const uint *op, const struct mx_memory *m, uint3 unit, uint3 units) {
    switch (op[0]) {
    case 0:
        mx_embed(unit, units, MX_TENSOR(0), MX_STEP(const int, 8), MX_STEP(float, 9), MX_STEP(int, 10), MX_ARG(11),
                 MX_ARG(12), MX_ARG(13), MX_REAL(14), MX_ARG(15), MX_ARG(16), MX_ARG(17));
        break;
    case 1:
        mx_rope_table(unit, units, MX_TENSOR(0), MX_STEP(const int, 8), MX_STEP(float2, 9), MX_ARG(10));
        break;
    case 2:
        mx_kv_copy(unit, units, MX_CACHE(0), MX_CACHE(1), MX_STEP(const uint2, 2), MX_ARG(3), MX_ARG(4), MX_ARG(5));
        break;
    case 3:
        mx_norm(unit, units, MX_TENSOR(0), MX_STEP(const uint, 8), MX_STEP(const float, 9), MX_STEP(float, 10),
                MX_STEP(char, 11), MX_STEP(float, 12), MX_STEP(int, 13), MX_STEP(int, 14), MX_ARG(15), MX_ARG(16),
                MX_REAL(17), MX_REAL(18));
        break;
    case MX_OP_LINEAR:
#ifdef MX_WITH_FLOAT32
        if (MX_ARG(6) == MX_NONE) { /* no scales */
            mx_linear_f32(unit, units, MX_TENSOR(0), MX_STEP(const uint4, 8), MX_STEP(const uint, 9),
                          MX_STEP(const float, 10), MX_STEP(const float, 11), MX_STEP(const int, 12),
                          MX_STEP(float, 13), MX_ARG(14), MX_ARG(15), MX_ARG(16), MX_ARG(17), MX_ARG(18), MX_ARG(19));
            break;
        }
#endif
        mx_linear(unit, units, MX_TENSOR(0), MX_STEP(const uint4, 8), MX_STEP(const uint, 9), MX_STEP(const mx_x, 10),
                  MX_STEP(const float, 11), MX_STEP(const int, 12), MX_STEP(float, 13), MX_ARG(14), MX_ARG(15),
                  MX_ARG(16), MX_ARG(17), MX_ARG(18), MX_ARG(19));
        break;
    case 5:
        mx_qk_norm(unit, units, MX_TENSOR(0), MX_STEP(float, 8), MX_ARG(9), MX_ARG(10), MX_ARG(11), MX_ARG(12),
                   MX_REAL(13), MX_REAL(14), MX_REAL(15));
        break;
    case 6:
        mx_rope_kv(unit, units, MX_STEP(const float, 0), MX_TENSOR(1), MX_STEP(const float2, 9), MX_STEP(const int, 10),
                   MX_STEP(const int, 11), MX_STEP(const int, 12), MX_STEP(float, 13), MX_CACHE(14), MX_CACHE(15),
                   MX_STEP(int, 16), MX_ARG(17), MX_ARG(18), MX_ARG(19), MX_ARG(20), MX_ARG(21));
        break;
    case 7:
        mx_attention(unit, units, MX_STEP(const float, 0), MX_CACHE(1), MX_CACHE(2), MX_STEP(const int, 3),
                     MX_STEP(const int, 4), MX_STEP(const int, 5), MX_STEP(float, 6), MX_ARG(7), MX_ARG(8), MX_ARG(9),
                     MX_ARG(10), MX_ARG(11), MX_REAL(12));
        break;
    case 8:
        mx_quantise(unit, units, MX_STEP(const float, 0), MX_STEP(char, 1), MX_STEP(float, 2), MX_STEP(int, 3),
                    MX_STEP(int, 4), MX_STEP(const uint, 5), MX_ARG(6), MX_ARG(7), MX_ARG(8));
        break;
    case 9:
        mx_route(unit, units, MX_TENSOR(0), MX_STEP(float, 8), MX_STEP(float, 9), MX_STEP(int, 10), MX_STEP(float, 11),
                 MX_STEP(float, 12), MX_ARG(13), MX_ARG(14), MX_ARG(15), MX_ARG(16), MX_ARG(17), MX_ARG(18), MX_ARG(19),
                 MX_REAL(20));
        break;
    case 10:
        mx_sort(unit, units, MX_STEP(const int, 0), MX_STEP(uint, 1), MX_STEP(uint4, 2), MX_STEP(uint, 3),
                MX_STEP(uint, 4), MX_STEP(uint, 5), MX_ARG(6), MX_ARG(7), MX_ARG(8));
        break;
    case 11:
        mx_combine(unit, units, MX_TENSOR(0), MX_STEP(const float, 8), MX_STEP(const uint, 9), MX_STEP(const float, 10),
                   MX_STEP(const float, 11), MX_STEP(const float, 12), MX_STEP(float, 13), MX_ARG(14), MX_ARG(15),
                   MX_ARG(16));
        break;
    case 12:
        mx_keep(unit, units, MX_STEP(const int, 0), MX_STEP(int, 1), MX_ARG(2), MX_ARG(3), MX_ARG(4));
        break;
    }
}

/* ceil(base * count / divide), as mx_launch_run has it; a count numbered 0 is 1 */
MX_FN uint mx_side(__global const uint *op, __global const uint *counts, uint i) {
    const uint scale = op[7] >> 8 * i & 255u;
    return (op[1 + i] * (scale ? counts[scale] : 1) + op[4 + i] - 1) / op[4 + i];
}

/* Share n of `all` units: .x .. .y - 1. Each work-item has a stretch of its own and takes three quarters of what is left of
 * it at a time, so it reads weights without a jump; who is done early takes shares of another's. Longer stretches come
 * first, so behind an empty share all are empty. */
MX_FN uint2 mx_share(uint n, uint all, uint workers) {
    const uint stretch = n % workers, longer = all % workers;
    uint from = stretch * (all / workers) + min(stretch, longer), left = all / workers + (stretch < longer), size;
    for (uint round = n / workers; (size = left - left / 4) > 0 && round > 0; round--) {
        from += size;
        left -= size;
    }
    return (uint2)(from, from + size);
}

/* Grid: any number of work-items in groups of one. */
MX_ENTRY void mx_sequence(__global uchar *step, __global uchar *session, __global const uchar *w0,
                          __global const uchar *w1, __global const uchar *w2, __global const uchar *w3, uint ops,
                          uint counts_at, uint progress, uint first, uint end) {
    const struct mx_memory memory = {step, session, {w0, w1, w2, w3}};
    __global const uint *counts = (__global const uint *)(step + (ulong)counts_at * 4096);
    const uint workers = (uint)get_global_size(0);
    for (uint at = first; at < end; at++) {
        __global const uint *op = (__global const uint *)(step + (ulong)ops * 4096) + at * MX_OP_WORDS;
        __global uint *taken = (__global uint *)(step + (ulong)progress * 4096) + at * MX_PROGRESS_WORDS;
        volatile __global uint *done = taken + MX_PROGRESS_WORDS / 2;
        const uint needs = op[7] >> 24;
        const uint3 units = (uint3)(mx_side(op, counts, 0), mx_side(op, counts, 1), mx_side(op, counts, 2));
        const uint all = needs && counts[needs] == 0 ? 0 : units.s0 * units.s1 * units.s2;
        const uint jobs = op[0] == MX_OP_LINEAR ? units.s0 : 1;
        uint mine = 0;
        while (*done != all) {
            const uint n = atomic_inc(taken);
            const uint2 share = mx_share(n, all, workers);
            if (share.x == share.y)
                break;
            /* A job's tiles lie side by side, so they follow each other. Every second stretch begins with the last job: the
             * shared expert's have most entries and wait for no memory, so all work-items should not be there at once. */
            for (uint i = 0; i < jobs; i++) {
                const uint job = n % workers % 2 ? jobs - 1 - i : i;
                for (uint u = share.x + (job + jobs - share.x % jobs) % jobs; u < share.y; u += jobs)
                    mx_operation(op, &memory, (uint3)(u % units.s0, u / units.s0 % units.s1, u / units.s0 / units.s1),
                                 units);
            }
            mine += share.y - share.x;
        }
        mem_fence(CLK_GLOBAL_MEM_FENCE); /* what was written comes before its being done */
        if (mine)
            atomic_add(done, mine);
        while (*done != all) {
        }
        mem_fence(CLK_GLOBAL_MEM_FENCE); /* and is read after */
    }
}
