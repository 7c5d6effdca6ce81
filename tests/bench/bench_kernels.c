/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the kernels are, beside what the machine can do: make build/tests/bench/bench_kernels, run it in the root of
 * the repository (MX_DEVICE as for test_kernels). Best of several runs; buffers are larger than caches unless the name
 * of a line says otherwise.
 *
 *     bench_kernels [TEXT [BEFORE [RUNS]]]     only lines that contain TEXT; in turns with the kernels
 *                                              of the checkout BEFORE, RUNS times (50)
 *
 * A machine that others use changes its speed by a third within minutes, but rarely between two runs that follow each
 * other: how much faster than BEFORE is the median of the ratios of such pairs, known to about one in a hundred (give
 * this checkout as BEFORE to see how well). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/timed.h"
#include "tools/bandwidth.h"

static const char *only;

static bool wanted(const char *line) {
    return !only || strstr(line, only);
}

/* Floats in about -1 .. 1, halves and bytes of any kind. */
#define FLOATS 0x807fffffu, 0x3f000000u
#define HALVES 0x83ff83ffu, 0x38003800u
#define BYTES 0xffffffffu, 0u

/* The arguments of MX_WEIGHTS (opencl/kernels/weights.cl) after the first, which is number `at`: both windows are that
 * one. Returns the places of `segments` segments, all at its start. */
static uint32_t *rest_of_weights(uint32_t at, uint32_t segments, uint32_t scale, uint32_t extra) {
    timed_again(at);
    timed_u32(0); /* the first window's number */
    uint32_t *segment = timed_array((size_t)8 * segments);
    timed_u32(0); /* the first segment */
    timed_u32(0); /* data */
    timed_u32(scale);
    timed_u32(extra);
    return segment;
}

/* count[e] of `tokens` go through expert e. At most `units` sets of tiles of each. */
static void products(const char *line, uint32_t format, uint32_t group, uint32_t rows, uint32_t K, uint32_t tokens,
                     const uint32_t *count, uint32_t experts, uint32_t mode, size_t units) {
    if (!wanted(line))
        return;
    const bool integer = format <= MX_KF_I8;
    const size_t elements = (size_t)rows * K, groups = integer ? K / group : 1;
    const size_t data = format <= MX_KF_I4M   ? elements / 2
                        : format == MX_KF_I8  ? elements
                        : format == MX_KF_F32 ? elements * 4
                                              : elements * 2;
    const size_t scales = integer ? rows * groups * 2 : 0;
    const size_t extra = format == MX_KF_I4M ? scales : format == MX_KF_I4Z ? scales / 2 : 0;
    const size_t each = (data + scales + extra + 255) / 256 * 256;
    uint32_t jobs = 0, entries = 0;
    timed_begin("linear", "mx_linear", (struct mx_program_key){.format = format, .group = group});
    uint8_t *weights = timed_array(each * experts);
    for (uint32_t e = 0; e < experts; e++, weights += each) {
        if (integer)
            timed_noise(weights, data, BYTES);
        else if (format == MX_KF_F32)
            timed_noise(weights, data, FLOATS);
        else
            timed_noise(weights, data, HALVES);
        timed_noise(weights + data, scales, HALVES);
        timed_noise(weights + data + scales, extra, 0x03030303, 0);
    }
    uint32_t *segment = rest_of_weights(0, experts, (uint32_t)data, (uint32_t)(data + scales));
    for (uint32_t e = 0; e < experts; e++)
        segment[2 * e + 1] = (uint32_t)(e * each / 256);
    uint32_t *job = timed_array((size_t)16 * experts);
    for (uint32_t e = 0; e < experts; e++)
        if (count[e]) {
            memcpy(job + 4 * (size_t)jobs++, (uint32_t[]){e, entries, count[e]}, 12);
            entries += count[e];
        }
    uint32_t *row = timed_array((size_t)4 * entries);
    for (uint32_t i = 0; i < entries; i++)
        row[i] = i % tokens;
    if (integer)
        timed_noise(timed_array((size_t)tokens * K), (size_t)tokens * K, BYTES);
    else
        timed_noise(timed_array((size_t)tokens * K * 4), (size_t)tokens * K * 4, FLOATS);
    timed_noise(timed_array(tokens * groups * 4), tokens * groups * 4, FLOATS);
    timed_noise(timed_array(tokens * groups * 4), tokens * groups * 4, 1023, 0);
    const uint32_t ldo = mode == 2 ? rows / 2 : rows;
    timed_array((size_t)entries * ldo * 4);
    timed_u32(K);
    timed_u32(rows);
    timed_u32(ldo);
    timed_u32(0);
    timed_u32(mode);
    timed_u32(MX_KF_SCALE_F16);
    const size_t tiles = mode == 2 ? rows / 32 : rows / 16, share = units ? (tiles + units - 1) / units : 1;
    const double work = 2e-9 * (double)elements * entries;
    double t = timed_best(entries > 1 ? 5 : 10, 3, jobs, (tiles + share - 1) / share, 1);
    printf("%-56s %6.2f ms %6.1f GB/s %6.0f Gop/s, %.0f per CPU second\n", line, 1e3 * t,
           (double)(data + scales + extra) * jobs * 1e-9 / t, work / t, work / timed_spent);
}

static void linear(const char *what, uint32_t format, uint32_t group, uint32_t rows, uint32_t K, uint32_t tokens,
                   uint32_t mode, size_t units) {
    char line[80];
    snprintf(line, sizeof line, "%s format %u group %u, %u x %u, %u tokens", what, format, group, rows, K, tokens);
    products(line, format, group, rows, K, tokens, &tokens, 1, mode, units);
}

/* Qwen1.5-MoE-A2.7B: each sequence has four of 60 experts, and the four that the shared expert is made of. */
static void experts(const char *what, uint32_t rows, uint32_t K, uint32_t sequences, uint32_t mode, bool routed,
                    bool shared) {
    enum { ROUTED = 60, SELECTED = 4 };
    uint32_t count[ROUTED + SELECTED] = {0}, h = 1;
    for (uint32_t i = 0; routed && i < sequences * SELECTED; i++)
        count[((h = h * 1664525u + 1013904223u) >> 8) % ROUTED]++;
    for (uint32_t i = 0; shared && i < SELECTED; i++)
        count[ROUTED + i] = sequences;
    char line[80];
    snprintf(line, sizeof line, "%s, %u x %u, %u sequences,%s%s", what, rows, K, sequences, routed ? " routed" : "",
             shared ? " shared" : "");
    products(line, MX_KF_I4, 32, rows, K, sequences, count, ROUTED + SELECTED, mode, 8);
}

static void attention(uint32_t kv, uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t position, uint32_t tokens) {
    char line[80];
    snprintf(line, sizeof line, "attention kv %u, %u/%u heads of %u, position %u, %u tokens", kv, heads, kv_heads, d,
             position, tokens);
    if (!wanted(line))
        return;
    const uint32_t blocks = position / 64 + 1;
    const size_t vectors = (size_t)blocks * kv_heads * 64;
    const size_t bytes = vectors * (kv == 3 ? d + 1 : kv == 1 ? 2 * d : 4 * d);
    timed_begin("attention", "mx_attention", (struct mx_program_key){.kv = kv});
    timed_noise(timed_array((size_t)tokens * heads * d * 4), (size_t)tokens * heads * d * 4, FLOATS);
    for (int part = 0; part < 2; part++) {
        void *cache = timed_array(bytes);
        if (kv == 2)
            timed_noise(cache, bytes, FLOATS);
        else
            timed_noise(cache, bytes, HALVES); /* whose bytes are also integers and their scales */
    }
    uint32_t *p = timed_array(4 * tokens);
    timed_array(4 * tokens);
    uint32_t *table = timed_array(4 * blocks);
    double work = 0;
    for (uint32_t i = 0; i < tokens; i++) {
        p[i] = position - tokens + 1 + i;
        work += 4.0 * d * heads * (p[i] + 1);
    }
    for (uint32_t i = 0; i < blocks; i++)
        table[i] = i;
    timed_array((size_t)tokens * heads * d * 4);
    timed_u32(heads);
    timed_u32(kv_heads);
    timed_u32(d);
    timed_u32(blocks);
    timed_u32(blocks);
    timed_f32(0.125f);
    double t = timed_best(5, 2, tokens, heads, 1);
    printf("%-56s %6.1f GB/s %6.0f Gflop/s, %.0f per CPU second, %.0f us\n", line, (double)bytes * 2e-9 / t,
           work * 1e-9 / t, work * 1e-9 / timed_spent, t * 1e6);
}

static void norm(uint32_t H, uint32_t group, uint32_t rows) {
    char line[80];
    snprintf(line, sizeof line, "norm %u group %u, %u rows", H, group, rows);
    if (!wanted(line))
        return;
    timed_begin("norm", "mx_norm", (struct mx_program_key){0});
    timed_noise(timed_array(H * 4), H * 4, FLOATS);
    rest_of_weights(0, 1, 0, 0);
    uint32_t *row = timed_array(4 * rows);
    for (uint32_t i = 0; i < rows; i++)
        row[i] = i;
    timed_noise(timed_array((size_t)rows * H * 4), (size_t)rows * H * 4, FLOATS);
    timed_array((size_t)rows * H * 4);
    timed_array((size_t)rows * H);
    timed_array((size_t)rows * H / 8);
    timed_array((size_t)rows * H / 8);
    timed_array(4);
    timed_u32(H);
    timed_u32(group);
    timed_f32(1.0f / (float)H);
    timed_f32(1e-6f);
    double t = timed_best(10, 1, rows, 1, 1);
    printf("%-56s %6.1f GB/s (read), %.1f us, %.1f of CPU\n", line, (double)rows * H * 4e-9 / t, t * 1e6,
           timed_spent * 1e6);
}

static void quantise(uint32_t K, uint32_t group, uint32_t rows) {
    char line[80];
    snprintf(line, sizeof line, "quantise %u group %u, %u rows", K, group, rows);
    if (!wanted(line))
        return;
    timed_begin("norm", "mx_quantise", (struct mx_program_key){0});
    timed_noise(timed_array((size_t)rows * K * 4), (size_t)rows * K * 4, FLOATS);
    timed_array((size_t)rows * K);
    timed_array((size_t)rows * K / 8);
    timed_array((size_t)rows * K / 8);
    timed_array(4);
    *(uint32_t *)timed_array(4) = rows;
    timed_u32(0); /* the count of rows */
    timed_u32(K);
    timed_u32(group);
    double t = timed_best(10, 1, rows, 1, 1);
    printf("%-56s %6.1f GB/s (read), %.1f us, %.1f of CPU\n", line, (double)rows * K * 4e-9 / t, t * 1e6,
           timed_spent * 1e6);
}

static void rope(uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t tokens) {
    char line[80];
    const uint32_t all = heads + 2 * kv_heads;
    snprintf(line, sizeof line, "rope %u/%u heads of %u, %u tokens", heads, kv_heads, d, tokens);
    if (!wanted(line))
        return;
    timed_begin("rope", "mx_rope_kv", (struct mx_program_key){.kv = 1});
    timed_noise(timed_array((size_t)tokens * all * d * 4), (size_t)tokens * all * d * 4, FLOATS);
    timed_noise(timed_array(all * d * 4), all * d * 4, FLOATS);
    rest_of_weights(1, 1, 0, 0);
    timed_noise(timed_array((size_t)tokens * d * 4), (size_t)tokens * d * 4, FLOATS);
    uint32_t *p = timed_array(4 * tokens);
    timed_array(4 * tokens);
    uint32_t *table = timed_array(4 * (tokens / 64 + 1));
    for (uint32_t i = 0; i < tokens; i++) {
        p[i] = i;
        table[i / 64] = i / 64;
    }
    timed_array((size_t)tokens * heads * d * 4);
    timed_array((size_t)(tokens + 64) * kv_heads * d * 2);
    timed_array((size_t)(tokens + 64) * kv_heads * d * 2);
    timed_array(4);
    timed_u32(heads);
    timed_u32(kv_heads);
    timed_u32(d);
    timed_u32(tokens / 64 + 1);
    timed_u32(tokens / 64 + 1);
    double t = timed_best(10, 2, tokens, all, 1);
    printf("%-56s %6.1f us, %.1f of CPU\n", line, t * 1e6, timed_spent * 1e6);
}

static void route(uint32_t tokens, uint32_t routed, uint32_t top_k, uint32_t shared, uint32_t H) {
    char line[80];
    const uint32_t n = top_k + shared;
    snprintf(line, sizeof line, "route %u experts, %u tokens", routed, tokens);
    if (!wanted(line))
        return;
    timed_begin("route", "mx_route", (struct mx_program_key){0});
    timed_array(4);
    rest_of_weights(0, 1, 0, 0);
    timed_noise(timed_array(4 * tokens * (routed + 1)), 4 * tokens * (routed + 1), FLOATS);
    timed_array(4 * tokens * routed);
    timed_array(4 * tokens * n);
    timed_array(4 * tokens * n);
    timed_array(4 * tokens);
    timed_u32(routed);
    timed_u32(top_k);
    timed_u32(shared);
    timed_u32(2); /* the shared experts' gate */
    timed_u32(routed + 1);
    timed_u32(routed);
    timed_u32(0); /* no light experts */
    timed_f32(0.0f);
    double t = timed_best(10, 1, tokens, 1, 1);
    printf("%-56s %6.1f us, %.1f of CPU\n", line, t * 1e6, timed_spent * 1e6);

    timed_begin("route", "mx_sort", (struct mx_program_key){0});
    uint32_t *selected = timed_array(4 * tokens * n);
    for (uint32_t i = 0; i < tokens * n; i++)
        selected[i] = i * 2654435761u % (routed + shared);
    *(uint32_t *)timed_array(4) = tokens;
    timed_array(16 * (routed + shared));
    timed_array(4 * tokens * n);
    timed_array(4 * tokens * n);
    timed_array(4);
    timed_u32(n);
    timed_u32(routed + shared);
    timed_u32(0);
    t = timed_best(10, 1, 1, 1, 1);
    printf("  sort                                                   %6.1f us\n", t * 1e6);

    timed_begin("route", "mx_combine", (struct mx_program_key){0});
    timed_array(4);
    rest_of_weights(0, 1, 0, 0);
    timed_noise(timed_array(4 * (size_t)tokens * n * H), 4 * (size_t)tokens * n * H, FLOATS);
    uint32_t *entry = timed_array(4 * tokens * n);
    for (uint32_t i = 0; i < tokens * n; i++)
        entry[i] = i;
    timed_noise(timed_array(4 * tokens * n), 4 * tokens * n, FLOATS);
    timed_array(4 * (size_t)tokens * H);
    timed_array(4 * tokens);
    timed_array(4 * (size_t)tokens * H);
    timed_u32(H);
    timed_u32(n);
    timed_u32(0); /* no light experts */
    t = timed_best(10, 2, tokens, H / 256, 1);
    printf("  combine                                                %6.1f us, %.1f of CPU, %.1f GB/s\n", t * 1e6,
           timed_spent * 1e6, 4e-9 * (double)tokens * n * H / t);
}

static void hash(uint32_t leaves) {
    if (!wanted("hash"))
        return;
    timed_begin("hash", "mx_hash_leaves", (struct mx_program_key){0});
    timed_noise(timed_array(65536ull * leaves), 65536ull * leaves, BYTES);
    uint32_t *leaf = timed_array(8 * leaves);
    for (uint32_t i = 0; i < leaves; i++) {
        leaf[2 * i] = 16 * i;
        leaf[2 * i + 1] = 65536;
    }
    timed_array(32 * leaves);
    timed_u32(leaves);
    double t = timed_best(5, 1, leaves / 16, 1, 1);
    printf("%-56s %6.2f GB/s, %.2f per CPU second\n", "hash", 65536e-9 * leaves / t, 65536e-9 * leaves / timed_spent);
}

int main(int argc, char **argv) {
    only = argc > 1 ? argv[1] : NULL;
    timed_open(argc > 2 ? argv[2] : NULL, argc > 3 && atoi(argv[3]) > 0 ? (unsigned)atoi(argv[3]) : 50);
    printf("%-48s %8.1f GB/s\n", "raw read", bandwidth_read(0, 8) * 1e-9);
    for (uint32_t group = 32; group <= 128; group *= 2)
        linear("GEMV", MX_KF_I4, group, 131072, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_I4Z, 128, 131072, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_I4M, 32, 131072, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_I4M, 32, 196608, 576, 1, 0, 64);
    linear("GEMV", MX_KF_I8, 32, 65536, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_BF16, 0, 65536, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_F16, 0, 65536, 2048, 1, 0, 64);
    linear("GEMV", MX_KF_F32, 0, 32768, 2048, 1, 0, 64);
    linear("router", MX_KF_F32, 0, 64, 2048, 1, 0, 0);
    linear("glu", MX_KF_I4, 32, 65536, 2048, 1, 2, 64);
    for (uint32_t group = 32; group <= 128; group *= 2)
        linear("GEMM", MX_KF_I4, group, 4096, 2048, 128, 0, 64);
    linear("GEMM", MX_KF_I4Z, 128, 4096, 2048, 128, 0, 64);
    linear("GEMM", MX_KF_I4M, 32, 4096, 2048, 128, 0, 64);
    linear("GEMM", MX_KF_I8, 32, 4096, 2048, 128, 0, 64);
    linear("GEMM", MX_KF_I4, 32, 4096, 2048, 7, 0, 64);
    linear("GEMM", MX_KF_I4, 32, 2048, 5632, 128, 0, 64);
    linear("GEMM from memory", MX_KF_I4, 32, 131072, 2048, 34, 0, 4096); /* as the experts of a prefill */
    static const uint32_t sequences[] = {8, 32, 512};                    /* the last: a prefill */
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        experts("gate up", 2816, 2048, sequences[i], 2, true, false);
        experts("gate up", 2816, 2048, sequences[i], 2, false, true);
        experts("gate up", 2816, 2048, sequences[i], 2, true, true);
        experts("down", 2048, 1408, sequences[i], 0, true, true);
    }
    linear("GEMM", MX_KF_F32, 0, 4096, 2048, 64, 0, 64);
    linear("GEMM", MX_KF_BF16, 0, 4096, 2048, 64, 0, 64);
    attention(1, 16, 16, 128, 4095, 1);
    attention(1, 28, 4, 128, 4095, 1);
    attention(3, 16, 16, 128, 4095, 1);
    attention(3, 28, 4, 128, 4095, 1);
    attention(1, 16, 16, 128, 511, 128);
    attention(2, 16, 16, 128, 511, 128);
    attention(3, 16, 16, 128, 511, 128);
    attention(1, 9, 3, 64, 511, 128);
    norm(2048, 32, 1);
    norm(2048, 32, 256);
    norm(2048, 0, 256);
    quantise(1408, 32, 4096);
    rope(16, 16, 128, 1);
    rope(16, 16, 128, 256);
    route(1, 60, 4, 4, 2048);
    route(256, 60, 4, 4, 2048);
    hash(4096);
    timed_close();
    return 0;
}
