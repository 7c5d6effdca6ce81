/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the kernels are, beside what the machine can do: make build/tests/bench/bench_kernels, run it in the root of
 * the repository (MX_DEVICE as for test_kernels; one argument: only lines that contain it). Best of several runs;
 * buffers are larger than caches unless the name of a line says otherwise. */
#define _GNU_SOURCE /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/check.h"
#include "tests/kernel_device.h"
#include "tools/bandwidth.h"

static struct kernel_device device;
static struct kernel_style style = {.name = "bench"};
static const char *only;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Arguments ---- */

static cl_mem made[MX_MAX_ARGS];
static void *memory[MX_MAX_ARGS];
static cl_uint n_args;
static cl_kernel kernel;
static cl_program program;

static void begin(const char *file, const char *name, struct mx_program_key key) {
    cl_int code;
    key.kernel_file = file;
    program = kernel_build(&device, &key, &style);
    kernel = clCreateKernel(program, name, &code);
    assert_int_equal(code, CL_SUCCESS);
    n_args = 0;
}

/* Zeroed memory, also of the device. */
static void *array(size_t bytes) {
    cl_int code;
    bytes = (bytes + 4095) / 4096 * 4096;
    memory[n_args] = aligned_alloc(4096, bytes);
    assert_non_null(memory[n_args]);
    memset(memory[n_args], 0, bytes);
    made[n_args] =
        clCreateBuffer(device.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, memory[n_args], &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, n_args, sizeof(cl_mem), &made[n_args]), CL_SUCCESS);
    return memory[n_args++];
}

static void again(cl_uint of) {
    made[n_args] = NULL;
    assert_int_equal(clSetKernelArg(kernel, n_args++, sizeof(cl_mem), &made[of]), CL_SUCCESS);
}

static void u32(uint32_t v) {
    made[n_args] = NULL;
    assert_int_equal(clSetKernelArg(kernel, n_args++, 4, &v), CL_SUCCESS);
}

static void f32(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    u32(bits);
}

static void noise(void *to, size_t bytes, uint32_t mask, uint32_t add) {
    uint32_t *word = to, h = 1;
    for (size_t i = 0; i < bytes / 4; i++) {
        h = h * 1664525u + 1013904223u;
        word[i] = ((h ^ h >> 15) & mask) + add;
    }
}

/* Floats in about -1 .. 1, halves and bytes of any kind. */
#define FLOATS 0x807fffffu, 0x3f000000u
#define HALVES 0x83ff83ffu, 0x38003800u
#define BYTES 0xffffffffu, 0u

/* Processor seconds of the best run, over all threads: steadier than the clock on a machine that does other things. */
static double spent;

/* Seconds of the best of `runs`. */
static double best(int runs, cl_uint dims, size_t a, size_t b, size_t c) {
    const size_t local[3] = {style.local ? style.local : 1, 1, 1}, global[3] = {a * local[0], b, c};
    double least = 1e9;
    spent = 1e9;
    for (int i = 0; i < runs; i++) {
        double start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
        assert_int_equal(clEnqueueNDRangeKernel(device.queue, kernel, dims, NULL, global, local, 0, NULL, NULL),
                         CL_SUCCESS);
        clFinish(device.queue);
        double t = now(CLOCK_MONOTONIC) - start, u = now(CLOCK_PROCESS_CPUTIME_ID) - used;
        least = t < least ? t : least;
        spent = u < spent ? u : spent;
    }
    for (cl_uint i = 0; i < n_args; i++)
        if (made[i]) {
            clReleaseMemObject(made[i]);
            free(memory[i]);
        }
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    return least;
}

static bool wanted(const char *line) {
    return !only || strstr(line, only);
}

/* ---- Kernels ---- */

/* Tokens of one job. Units: at most `units` sets of tiles. */
static void linear(const char *what, uint32_t format, uint32_t group, uint32_t rows, uint32_t K, uint32_t tokens,
                   uint32_t mode, size_t units) {
    char line[80];
    snprintf(line, sizeof line, "%s format %u group %u, %u x %u, %u tokens", what, format, group, rows, K, tokens);
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
    begin("linear", "mx_linear",
          (struct mx_program_key){.format = format, .group = group, .scale = integer ? MX_KF_SCALE_F16 : 0});
    uint8_t *weights = array(data + scales + extra);
    if (integer)
        noise(weights, data, BYTES);
    else if (format == MX_KF_F32)
        noise(weights, data, FLOATS);
    else
        noise(weights, data, HALVES);
    noise(weights + data, scales, HALVES);
    noise(weights + data + scales, extra, 0x03030303, 0);
    again(0);
    u32(0);
    array(64); /* segments */
    u32(0);
    u32(0);
    u32((uint32_t)data);
    u32((uint32_t)(data + scales));
    ((uint32_t *)array(64))[2] = tokens; /* jobs */
    uint32_t *row = array(4 * tokens);
    for (uint32_t i = 0; i < tokens; i++)
        row[i] = i;
    if (integer)
        noise(array((size_t)tokens * K), (size_t)tokens * K, BYTES);
    else
        noise(array((size_t)tokens * K * 4), (size_t)tokens * K * 4, FLOATS);
    noise(array(tokens * groups * 4), tokens * groups * 4, FLOATS);
    noise(array(tokens * groups * 4), tokens * groups * 4, 1023, 0);
    const uint32_t ldo = mode == 2 ? rows / 2 : rows;
    array((size_t)tokens * ldo * 4);
    u32(K);
    u32(rows);
    u32(ldo);
    u32(0);
    u32(mode);
    const size_t tiles = mode == 2 ? rows / 32 : rows / 16;
    double t = best(tokens > 1 ? 5 : 10, 3, 1, units && units < tiles ? units : tiles, 1);
    printf("%-56s %6.1f GB/s %6.0f Gop/s, %.0f per CPU second\n", line, (double)(data + scales + extra) * 1e-9 / t,
           2e-9 * (double)elements * tokens / t, 2e-9 * (double)elements * tokens / spent);
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
    begin("attention", "mx_attention", (struct mx_program_key){.kv = kv});
    noise(array((size_t)tokens * heads * d * 4), (size_t)tokens * heads * d * 4, FLOATS);
    for (int part = 0; part < 2; part++) {
        void *cache = array(bytes);
        if (kv == 2)
            noise(cache, bytes, FLOATS);
        else
            noise(cache, bytes, HALVES); /* whose bytes are also integers and their scales */
    }
    uint32_t *p = array(4 * tokens);
    array(4 * tokens);
    uint32_t *table = array(4 * blocks);
    double work = 0;
    for (uint32_t i = 0; i < tokens; i++) {
        p[i] = position - tokens + 1 + i;
        work += 4.0 * d * heads * (p[i] + 1);
    }
    for (uint32_t i = 0; i < blocks; i++)
        table[i] = i;
    array((size_t)tokens * heads * d * 4);
    u32(heads);
    u32(kv_heads);
    u32(d);
    u32(blocks);
    u32(blocks);
    f32(0.125f);
    double t = best(5, 2, tokens, heads, 1);
    printf("%-56s %6.1f GB/s %6.0f Gflop/s, %.0f per CPU second, %.0f us\n", line, (double)bytes * 2e-9 / t,
           work * 1e-9 / t, work * 1e-9 / spent, t * 1e6);
}

static void norm(uint32_t H, uint32_t group, uint32_t rows) {
    char line[80];
    snprintf(line, sizeof line, "norm %u group %u, %u rows", H, group, rows);
    if (!wanted(line))
        return;
    begin("norm", "mx_norm", (struct mx_program_key){0});
    noise(array(H * 4), H * 4, FLOATS);
    again(0);
    u32(0);
    array(64);
    u32(0);
    u32(0);
    u32(0);
    u32(0);
    uint32_t *row = array(4 * rows);
    for (uint32_t i = 0; i < rows; i++)
        row[i] = i;
    noise(array((size_t)rows * H * 4), (size_t)rows * H * 4, FLOATS);
    array((size_t)rows * H * 4);
    array((size_t)rows * H);
    array((size_t)rows * H / 8);
    array((size_t)rows * H / 8);
    array(4);
    u32(H);
    u32(group);
    f32(1.0f / (float)H);
    f32(1e-6f);
    double t = best(10, 1, rows, 1, 1);
    printf("%-56s %6.1f GB/s (read), %.1f us, %.1f of CPU\n", line, (double)rows * H * 4e-9 / t, t * 1e6, spent * 1e6);
}

static void quantise(uint32_t K, uint32_t group, uint32_t rows) {
    char line[80];
    snprintf(line, sizeof line, "quantise %u group %u, %u rows", K, group, rows);
    if (!wanted(line))
        return;
    begin("norm", "mx_quantise", (struct mx_program_key){0});
    noise(array((size_t)rows * K * 4), (size_t)rows * K * 4, FLOATS);
    array((size_t)rows * K);
    array((size_t)rows * K / 8);
    array((size_t)rows * K / 8);
    array(4);
    u32(K);
    u32(group);
    double t = best(10, 1, rows, 1, 1);
    printf("%-56s %6.1f GB/s (read), %.1f us, %.1f of CPU\n", line, (double)rows * K * 4e-9 / t, t * 1e6, spent * 1e6);
}

static void rope(uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t tokens) {
    char line[80];
    const uint32_t all = heads + 2 * kv_heads;
    snprintf(line, sizeof line, "rope %u/%u heads of %u, %u tokens", heads, kv_heads, d, tokens);
    if (!wanted(line))
        return;
    begin("rope", "mx_rope_kv", (struct mx_program_key){.kv = 1});
    noise(array((size_t)tokens * all * d * 4), (size_t)tokens * all * d * 4, FLOATS);
    noise(array(all * d * 4), all * d * 4, FLOATS);
    again(1);
    u32(0);
    array(64);
    u32(0);
    u32(0);
    u32(0);
    u32(0);
    noise(array((size_t)tokens * d * 4), (size_t)tokens * d * 4, FLOATS);
    uint32_t *p = array(4 * tokens);
    array(4 * tokens);
    uint32_t *table = array(4 * (tokens / 64 + 1));
    for (uint32_t i = 0; i < tokens; i++) {
        p[i] = i;
        table[i / 64] = i / 64;
    }
    array((size_t)tokens * heads * d * 4);
    array((size_t)(tokens + 64) * kv_heads * d * 2);
    array((size_t)(tokens + 64) * kv_heads * d * 2);
    array(4);
    u32(heads);
    u32(kv_heads);
    u32(d);
    u32(tokens / 64 + 1);
    u32(tokens / 64 + 1);
    double t = best(10, 2, tokens, all, 1);
    printf("%-56s %6.1f us, %.1f of CPU\n", line, t * 1e6, spent * 1e6);
}

static void route(uint32_t tokens, uint32_t routed, uint32_t top_k, uint32_t shared, uint32_t H) {
    char line[80];
    const uint32_t n = top_k + shared;
    snprintf(line, sizeof line, "route %u experts, %u tokens", routed, tokens);
    if (!wanted(line))
        return;
    begin("route", "mx_route", (struct mx_program_key){0});
    noise(array(4 * tokens * (routed + 1)), 4 * tokens * (routed + 1), FLOATS);
    array(4 * tokens * n);
    array(4 * tokens * n);
    u32(routed);
    u32(top_k);
    u32(shared);
    u32(2);
    u32(routed + 1);
    double t = best(10, 1, tokens, 1, 1);
    printf("%-56s %6.1f us, %.1f of CPU\n", line, t * 1e6, spent * 1e6);

    begin("route", "mx_sort", (struct mx_program_key){0});
    uint32_t *selected = array(4 * tokens * n);
    for (uint32_t i = 0; i < tokens * n; i++)
        selected[i] = i * 2654435761u % (routed + shared);
    *(uint32_t *)array(4) = tokens;
    array(16 * (routed + shared));
    array(4 * tokens * n);
    array(4 * tokens * n);
    array(4);
    u32(n);
    u32(routed + shared);
    u32(0);
    t = best(10, 1, 1, 1, 1);
    printf("  sort                                                   %6.1f us\n", t * 1e6);

    begin("route", "mx_combine", (struct mx_program_key){0});
    noise(array(4 * (size_t)tokens * n * H), 4 * (size_t)tokens * n * H, FLOATS);
    uint32_t *entry = array(4 * tokens * n);
    for (uint32_t i = 0; i < tokens * n; i++)
        entry[i] = i;
    noise(array(4 * tokens * n), 4 * tokens * n, FLOATS);
    array(4 * (size_t)tokens * H);
    u32(H);
    u32(n);
    t = best(10, 2, tokens, H / 256, 1);
    printf("  combine                                                %6.1f us, %.1f of CPU, %.1f GB/s\n", t * 1e6,
           spent * 1e6, 4e-9 * (double)tokens * n * H / t);
}

static void hash(uint32_t leaves) {
    if (!wanted("hash"))
        return;
    begin("hash", "mx_hash_leaves", (struct mx_program_key){0});
    noise(array(65536ull * leaves), 65536ull * leaves, BYTES);
    uint32_t *leaf = array(8 * leaves);
    for (uint32_t i = 0; i < leaves; i++) {
        leaf[2 * i] = 16 * i;
        leaf[2 * i + 1] = 65536;
    }
    array(32 * leaves);
    u32(leaves);
    double t = best(5, 1, leaves / 16, 1, 1);
    printf("%-56s %6.2f GB/s, %.2f per CPU second\n", "hash", 65536e-9 * leaves / t, 65536e-9 * leaves / spent);
}

int main(int argc, char **argv) {
    const char *dot = getenv("MX_BENCH_DOT");
    only = argc > 1 ? argv[1] : NULL;
    kernel_device_open(&device);
    style.dot = dot ? (uint32_t)atoi(dot) : 0;
    style.more = getenv("MX_BENCH_OPTIONS");
    printf("%s, MX_DOT %u\n", device.name, style.dot);
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
    kernel_device_close(&device);
    return 0;
}
