/* SPDX-License-Identifier: Apache-2.0
 *
 * The variants for NVIDIA without a device: the kernel's own text, compiled as C (tests/simt/linear.c), runs work-group
 * by work-group. Every work-item is a coroutine; barriers and the tensor cores' instruction wait for those that take
 * part, so a warp that does not come together is found. Results are the scalar twin's, bit for bit. */
#define _GNU_SOURCE /* mkstemp */
#include "tests/check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "opencl/device.h"
#include "tests/simt/simt.h"
#include "twin/cases.h"
#include "twin/twin.h"

enum { THREADS_MAX = 128, WARP = 32, STACK_BYTES = 64 << 10 };

enum waiting { RUNNING, AT_BARRIER, AT_MMA, ENDED };

static struct {
    struct simt simt;
    simt_kernel *kernel;
    const union simt_arg *arg;
    ucontext_t scheduler, context[THREADS_MAX];
    enum waiting state[THREADS_MAX];
    int32_t *sum[THREADS_MAX];
    const uint32_t *a[THREADS_MAX];
    const int32_t *b[THREADS_MAX];
    long instructions; /* mma, for a whole warp */
    uint8_t stack[THREADS_MAX][STACK_BYTES];
} machine;

/* ---- The machine ---- */

static void wait_for(enum waiting what) {
    const uint32_t thread = machine.simt.thread;
    machine.state[thread] = what;
    swapcontext(&machine.context[thread], &machine.scheduler);
}

static void barrier(void) {
    wait_for(AT_BARRIER);
}

static void mma(int32_t sum[4], const uint32_t a[4], const int32_t b[2]) {
    const uint32_t thread = machine.simt.thread;
    machine.sum[thread] = sum;
    machine.a[thread] = a;
    machine.b[thread] = b;
    wait_for(AT_MMA);
}

/* mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 of a warp. Byte i of a thread's A, byte i of its B and its sum i are
 * where the PTX ISA's "Matrix Fragments for mma.m16n8k32" says. */
static void multiply(uint32_t warp) {
    uint8_t a[16][32];
    int8_t b[32][8];
    for (uint32_t lane = 0; lane < WARP; lane++) {
        const uint32_t thread = warp * WARP + lane, group = lane >> 2, in_group = lane % 4;
        for (uint32_t i = 0; i < 16; i++) {
            const uint32_t row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
            const uint32_t col = in_group * 4 + (i & 3) + (i < 8 ? 0 : 16);
            a[row][col] = (uint8_t)(machine.a[thread][i / 4] >> i % 4 * 8);
        }
        for (uint32_t i = 0; i < 8; i++)
            b[in_group * 4 + (i & 3) + (i < 4 ? 0 : 16)][group] =
                (int8_t)((uint32_t)machine.b[thread][i / 4] >> i % 4 * 8);
    }
    for (uint32_t lane = 0; lane < WARP; lane++)
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t row = i < 2 ? lane >> 2 : (lane >> 2) + 8, col = lane % 4 * 2 + (i & 1);
            for (uint32_t k = 0; k < 32; k++)
                machine.sum[warp * WARP + lane][i] += a[row][k] * b[k][col];
        }
    machine.instructions++;
}

static void thread_main(void) {
    machine.kernel(&machine.simt, machine.arg);
    wait_for(ENDED);
}

/* How many of the threads first .. first + n - 1 are in this state. */
static uint32_t count(uint32_t first, uint32_t n, enum waiting state) {
    uint32_t found = 0;
    for (uint32_t i = first; i < first + n; i++)
        found += machine.state[i] == state;
    return found;
}

static void release(uint32_t first, uint32_t n) {
    for (uint32_t i = first; i < first + n; i++)
        machine.state[i] = RUNNING;
}

/* A function of its own: getcontext may return twice as far as a compiler knows, which no loop's counter survives. */
static void prepare(ucontext_t *context, void *stack) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, thread_main, 0);
}

static void run_group(void) {
    const uint32_t size = machine.simt.size;
    for (uint32_t i = 0; i < size; i++)
        prepare(&machine.context[i], machine.stack[i]);
    release(0, size);
    while (count(0, size, ENDED) < size) {
        for (uint32_t i = 0; i < size; i++)
            if (machine.state[i] == RUNNING) {
                machine.simt.thread = i;
                swapcontext(&machine.scheduler, &machine.context[i]);
            }
        for (uint32_t warp = 0; warp < size / WARP; warp++)
            if (count(warp * WARP, WARP, AT_MMA) == WARP) {
                multiply(warp);
                release(warp * WARP, WARP);
            }
        if (count(0, size, AT_BARRIER) == size)
            release(0, size);
        if (count(0, size, RUNNING) == 0 && count(0, size, ENDED) < size)
            fail_msg("work-items do not come together: %u at a barrier, %u at mma, %u ended of %u",
                     count(0, size, AT_BARRIER), count(0, size, AT_MMA), count(0, size, ENDED), size);
    }
}

/* ---- The kernel ---- */

/* linear.cl for this program; the file is gone when it is loaded. */
static void *compile(const struct mx_program_key *key, uint32_t dot, uint32_t local) {
    char path[] = "/tmp/moxie-simt-XXXXXX", command[512];
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    snprintf(command, sizeof command,
             "${CC:-cc} -std=gnu11 -O1 -w -ffp-contract=off -fPIC -shared -I. -DMX_FORMAT=%u -DMX_GROUP=%u "
             "-DMX_KV=0 -DMX_DOT=%u -DMX_LOCAL=%u tests/simt/linear.c -lm -o %s",
             key->format, key->group, dot, local, path);
    assert_int_equal(system(command), 0);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (!library)
        fail_msg("%s", dlerror());
    return library;
}

static void run_case(const struct mx_case *c, uint8_t *image) {
    union simt_arg arg[MX_MAX_ARGS];
    for (uint32_t i = 0; i < c->n_args; i++)
        if (c->arg[i].kind == MX_ARG_MEM)
            arg[i].mem = image + c->arg[i].offset;
        else
            arg[i].u = c->arg[i].u;
    machine.arg = arg;
    machine.simt.groups[0] = c->counts[c->grid.jobs];
    machine.simt.groups[1] = c->grid.items;
    machine.simt.groups[2] = 1;
    for (uint32_t y = 0; y < machine.simt.groups[1]; y++)
        for (uint32_t x = 0; x < machine.simt.groups[0]; x++) {
            machine.simt.group[0] = x;
            machine.simt.group[1] = y;
            run_group();
        }
    machine.arg = NULL;
}

static void compare(const struct mx_program_key *key, uint32_t dot, uint32_t local) {
    static uint8_t found[TWIN_IMAGE_BYTES], expected[TWIN_IMAGE_BYTES];
    void *library = compile(key, dot, local);
    struct mx_case c;
    *(void **)&machine.kernel = dlsym(library, "simt_linear");
    assert_non_null(machine.kernel);
    machine.simt = (struct simt){.size = local, .barrier = barrier, .mma = mma};
    machine.instructions = 0;
    uint32_t run = 0;
    for (; twin_case(key, "mx_linear", run, found, &c); run++) {
        memcpy(expected, found, c.image_bytes);
        assert_true(twin_run_case(key, "mx_linear", &c, expected));
        run_case(&c, found);
        if (memcmp(found, expected, c.image_bytes) != 0)
            fail_msg("format %u group %u, variant %u, work-groups of %u, case %u: not the twin's bits", key->format,
                     key->group, dot, local, run);
    }
    assert_true(run > 0);
    assert_int_equal(machine.instructions > 0, dot == MX_DOT_MMA);
    dlclose(library);
}

/* Each format with another group. */
static void each_format(uint32_t dot, uint32_t local) {
    for (uint32_t format = MX_KF_I4; format <= MX_KF_I8; format++) {
        const struct mx_program_key key = {
            .kernel_file = "linear", .format = format, .group = 32u << (format + local / 128) % 3};
        compare(&key, dot, local);
    }
}

static void test_dp4a(void **state) {
    (void)state;
    each_format(MX_DOT_DP4A, 128);
}

static void test_tensor_cores(void **state) {
    (void)state;
    each_format(MX_DOT_MMA, 128);
    each_format(MX_DOT_MMA, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dp4a), cmocka_unit_test(test_tensor_cores)};
    return check_run(tests);
}
