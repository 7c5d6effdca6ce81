/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* clock_gettime */
#include "tests/bench/timed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/kernel_device.h"

static struct kernel_device device;
static struct kernel_style style = {.name = "bench"};
static const char *other;
static unsigned turns;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Arguments ---- */

static cl_mem made[MX_MAX_ARGS];
static void *memory[MX_MAX_ARGS];
static cl_uint n_args;
static cl_kernel kernel[2]; /* second: of the other checkout */
static const char *kernel_name;

/* Arguments that are not the kernel's any more are the usual reason. */
static void must(cl_int code, const char *what) {
    if (code != CL_SUCCESS) {
        fflush(stdout);
        fprintf(stderr, "%s: %s after %u arguments: OpenCL error %d\n", kernel_name, what, n_args, code);
        exit(1);
    }
}

static cl_kernel build(const struct mx_program_key *key, const char *name) {
    cl_int code;
    cl_program program = kernel_build(&device, key, &style);
    cl_kernel built = clCreateKernel(program, name, &code);
    must(code, "clCreateKernel");
    clReleaseProgram(program); /* the kernel keeps it */
    return built;
}

void timed_begin(const char *file, const char *name, struct mx_program_key key) {
    key.kernel_file = file;
    kernel_name = name;
    n_args = 0;
    kernel[0] = build(&key, name);
    if (other) { /* kernel_build reads what lies under this folder */
        char *here = getcwd(NULL, 0);
        assert_non_null(here);
        assert_int_equal(chdir(other), 0);
        kernel[1] = build(&key, name);
        assert_int_equal(chdir(here), 0);
        free(here);
    }
}

static void set(size_t bytes, const void *value) {
    for (int i = 0; i < (other ? 2 : 1); i++)
        must(clSetKernelArg(kernel[i], n_args, bytes, value), "clSetKernelArg");
    n_args++;
}

void *timed_array(size_t bytes) {
    cl_int code;
    bytes = (bytes + 4095) / 4096 * 4096;
    memory[n_args] = aligned_alloc(4096, bytes);
    assert_non_null(memory[n_args]);
    memset(memory[n_args], 0, bytes);
    made[n_args] =
        clCreateBuffer(device.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, memory[n_args], &code);
    must(code, "clCreateBuffer");
    set(sizeof(cl_mem), &made[n_args]);
    return memory[n_args - 1];
}

void timed_again(cl_uint of) {
    made[n_args] = NULL;
    set(sizeof(cl_mem), &made[of]);
}

void timed_u32(uint32_t v) {
    made[n_args] = NULL;
    set(4, &v);
}

void timed_f32(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    timed_u32(bits);
}

void timed_noise(void *to, size_t bytes, uint32_t mask, uint32_t add) {
    uint32_t *word = to, h = 1;
    for (size_t i = 0; i < bytes / 4; i++) {
        h = h * 1664525u + 1013904223u;
        word[i] = ((h ^ h >> 15) & mask) + add;
    }
}

double timed_spent;

/* Seconds of one run. */
static double run(cl_kernel one, cl_uint dims, const size_t *global, const size_t *local) {
    double start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
    must(clEnqueueNDRangeKernel(device.queue, one, dims, NULL, global, local, 0, NULL, NULL), "clEnqueueNDRangeKernel");
    clFinish(device.queue);
    double u = now(CLOCK_PROCESS_CPUTIME_ID) - used;
    timed_spent = u < timed_spent ? u : timed_spent;
    return now(CLOCK_MONOTONIC) - start;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(cl_uint dims, const size_t *global, const size_t *local) {
    double *ratio = calloc(turns, sizeof *ratio);
    assert_non_null(ratio);
    run(kernel[1], dims, global, local); /* drivers compile at the first */
    for (unsigned i = 0; i < turns; i++) {
        double first = run(kernel[i % 2], dims, global, local), second = run(kernel[1 - i % 2], dims, global, local);
        ratio[i] = i % 2 ? first / second : second / first;
    }
    qsort(ratio, turns, sizeof *ratio, ascending);
    printf("%.3f times as fast as before (quartiles %.3f %.3f): ", ratio[turns / 2], ratio[turns / 4],
           ratio[turns * 3 / 4]);
    free(ratio);
}

double timed_best(int runs, cl_uint dims, size_t a, size_t b, size_t c) {
    const size_t local[3] = {style.local ? style.local : 1, 1, 1}, global[3] = {a * local[0], b, c};
    if (other)
        compare(dims, global, local);
    double least = 1e9;
    timed_spent = 1e9;
    for (int i = 0; i < runs; i++) {
        double t = run(kernel[0], dims, global, local);
        least = t < least ? t : least;
    }
    for (cl_uint i = 0; i < n_args; i++)
        if (made[i]) {
            clReleaseMemObject(made[i]);
            free(memory[i]);
        }
    for (int i = 0; i < (other ? 2 : 1); i++)
        clReleaseKernel(kernel[i]);
    return least;
}

void timed_open(const char *before, unsigned pairs) {
    const char *dot = getenv("MX_BENCH_DOT");
    other = before;
    turns = pairs;
    kernel_device_open(&device);
    style.dot = dot ? (uint32_t)atoi(dot) : 0;
    style.more = getenv("MX_BENCH_OPTIONS");
    printf("%s, MX_DOT %u\n", device.name, style.dot);
}

void timed_close(void) {
    kernel_device_close(&device);
}
