/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "tests/kernel_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/check.h"
#include "twin/twin.h"

static void ok(cl_int code, const char *what) {
    if (code != CL_SUCCESS)
        fail_msg("%s: %d", what, code);
}

void kernel_device_open(struct kernel_device *d) {
    const char *wanted = getenv("MX_DEVICE");
    cl_platform_id platforms[8];
    cl_uint n = 0;
    memset(d, 0, sizeof *d);
    ok(clGetPlatformIDs(8, platforms, &n), "clGetPlatformIDs");
    for (cl_uint i = 0; i < n && i < 8 && !d->device; i++) {
        cl_device_id devices[8];
        cl_uint m = 0;
        char name[80] = "";
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof name, name, NULL);
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 8, devices, &m) != CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < m && j < 8 && !d->device; j++) {
            char device[80] = "";
            clGetDeviceInfo(devices[j], CL_DEVICE_NAME, sizeof device, device, NULL);
            snprintf(d->name, sizeof d->name, "%s: %s", name, device);
            if (!wanted || strstr(d->name, wanted)) {
                d->platform = platforms[i];
                d->device = devices[j];
                d->pocl = strcmp(name, "Portable Computing Language") == 0;
            }
        }
    }
    if (!d->device)
        fail_msg("no OpenCL device %s", wanted ? wanted : "");
    cl_int code;
    d->context = clCreateContext(NULL, 1, &d->device, NULL, NULL, &code);
    ok(code, "clCreateContext");
    d->queue = clCreateCommandQueue(d->context, d->device, 0, &code);
    ok(code, "clCreateCommandQueue");
}

void kernel_device_close(struct kernel_device *d) {
    clReleaseCommandQueue(d->queue);
    clReleaseContext(d->context);
}

char *kernel_source(const char *name) {
    char path[80];
    snprintf(path, sizeof path, "opencl/kernels/%s.cl", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        perror(path); /* bench_kernels: the other checkout is too old */
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* Puts `meaning` in the place of the one block of instructions that begins so. */
static void spell_out(char *text, const char *instruction, const char *meaning) {
    char begin[64];
    snprintf(begin, sizeof begin, "__asm__(\"%s", instruction);
    char *at = strstr(text, begin);
    const char *end = at ? strchr(at, ';') : NULL;
    if (end) {
        memmove(at + strlen(meaning), end, strlen(end) + 1);
        memcpy(at, meaning, strlen(meaning));
    } else {
        fail_msg("no %s in linear_parts.cl", instruction);
    }
    assert_null(strstr(text, begin));
}

/* linear_parts.cl without AVX-512's instructions: vpdpbusd, the four unsigned bytes of each w times the four signed
 * ones of *x or of what mx_four has made of them, and those that give a number to 16 lanes. */
static char *read_spelt_out(void) {
    char *text = kernel_source("linear_parts");
    spell_out(text, "vpdpbusd %2%{1to16%}",
              "const char4 b = as_char4(*x);\n"
              "sum += as_int16(w & 255u) * b.x + as_int16(w >> 8 & 255u) * b.y +"
              " as_int16(w >> 16 & 255u) * b.z + as_int16(w >> 24) * b.w");
    spell_out(text, "vpdpbusd %2, %1",
              "const char4 b = as_char4(four.s0);\n"
              "sum += as_int16(w & 255u) * b.x + as_int16(w >> 8 & 255u) * b.y +"
              " as_int16(w >> 16 & 255u) * b.z + as_int16(w >> 24) * b.w");
    spell_out(text, "vpbroadcastd %1, %0\" :", "four = (int16)(*x)");
    spell_out(text, "vpslld %2", "added = (int16)(*S * (MX_FORMAT == MX_I4 ? 8 : 128))");
    return text;
}

cl_program kernel_build(struct kernel_device *d, const struct mx_program_key *key, const struct kernel_style *style) {
    const bool linear = strcmp(key->kernel_file, "linear") == 0;
    char *text[11] = {kernel_source("arith"), kernel_source("weights")};
    cl_uint n = 2;
    if (linear)
        text[n++] = kernel_source("linear_results");
    if (linear)
        text[n++] = style->spelt_out ? read_spelt_out() : kernel_source("linear_parts");
    while (linear && n < 8)
        text[n++] = kernel_source("linear_tile");
    while (linear && n < 10)
        text[n++] = kernel_source("linear_block");
    text[n++] = kernel_source(key->kernel_file);
    char options[256];
    cl_int code;
    /* in the order of opencl/program.c, so that a driver's cache serves both */
    int used =
        snprintf(options, sizeof options, "-cl-std=CL1.2 -w -DMX_FORMAT=%u -DMX_GROUP=%u -DMX_KV=%u -DMX_DOT=%u%s%s",
                 key->format, key->group, key->kv, style->dot, style->more ? " " : "", style->more ? style->more : "");
    if (style->local)
        snprintf(options + used, sizeof options - (size_t)used, " -DMX_LANES=1 -DMX_LOCAL=%u", style->local);
    cl_program program = clCreateProgramWithSource(d->context, n, (const char **)text, NULL, &code);
    ok(code, "clCreateProgramWithSource");
    for (cl_uint i = 0; i < n; i++)
        free(text[i]);
    if (clBuildProgram(program, 1, &d->device, options, NULL, NULL) != CL_SUCCESS) {
        char *log = calloc(1, 1 << 16);
        clGetProgramBuildInfo(program, d->device, CL_PROGRAM_BUILD_LOG, (1 << 16) - 1, log, NULL);
        fail_msg("%s %s: %s", key->kernel_file, options, log);
    }
    return program;
}

/* Memory of an argument that ends (up to its alignment) where the program may not read or write: a device that works on
 * host memory dies of an access beyond it. */
struct guarded {
    void *map;
    size_t bytes;
    uint8_t *at;
};

static struct guarded guard(const uint8_t *from, size_t bytes) {
    const size_t page = 4096, whole = (bytes + page - 1) / page * page;
    struct guarded g = {.bytes = whole + page};
    g.map = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect((uint8_t *)g.map + whole, page, PROT_NONE), 0);
    g.at = (uint8_t *)g.map + whole - (bytes + 15) / 16 * 16;
    memcpy(g.at, from, bytes);
    return g;
}

/* Sides of the grid in units. */
static cl_uint sides(const struct mx_case *c, size_t side[3]) {
    const uint32_t n = c->grid.count == MX_FIXED ? 1 : c->counts[c->grid.count];
    const uint32_t jobs = c->grid.jobs == MX_FIXED ? 1 : c->counts[c->grid.jobs];
    side[0] = c->grid.work == MX_WORK_ONE ? 1 : c->grid.work == MX_WORK_LINEAR ? jobs : n;
    side[1] = c->grid.work == MX_WORK_GRID || c->grid.work == MX_WORK_LINEAR ? c->grid.items : 1;
    side[2] = c->grid.work == MX_WORK_LINEAR ? n : 1;
    return c->grid.work == MX_WORK_LINEAR ? 3 : c->grid.work == MX_WORK_GRID ? 2 : 1;
}

void kernel_run(struct kernel_device *d, cl_program program, const char *kernel, const struct kernel_style *style,
                const struct mx_case *c, uint8_t *image) {
    cl_mem mem[MX_MAX_ARGS];
    struct guarded memory[MX_MAX_ARGS];
    cl_int code;
    size_t global[3], local[3] = {style->local ? style->local : 1, 1, 1};
    cl_kernel k = clCreateKernel(program, kernel, &code);
    ok(code, kernel);
    for (uint32_t i = 0; i < c->n_args; i++) {
        const struct mx_case_arg *a = &c->arg[i];
        mem[i] = NULL;
        if (a->kind == MX_ARG_MEM) {
            memory[i] = guard(image + a->offset, a->bytes);
            /* only PoCL is known to work on this very memory; Oclgrind takes it for uninitialised */
            mem[i] =
                clCreateBuffer(d->context, CL_MEM_READ_WRITE | (d->pocl ? CL_MEM_USE_HOST_PTR : CL_MEM_COPY_HOST_PTR),
                               a->bytes, memory[i].at, &code);
            ok(code, "clCreateBuffer");
            ok(clSetKernelArg(k, i, sizeof(cl_mem), &mem[i]), "clSetKernelArg");
        } else {
            ok(clSetKernelArg(k, i, 4, a->kind == MX_ARG_F32 ? (const void *)&a->f : &a->u), "clSetKernelArg");
        }
    }
    const cl_uint dims = sides(c, global);
    if (c->grid.work == MX_WORK_LINEAR && style->shrink)
        for (int i = 1; i < 3; i++)
            global[i] = (global[i] + style->shrink - 1) / style->shrink;
    global[0] *= local[0];
    ok(clEnqueueNDRangeKernel(d->queue, k, dims, NULL, global, local, 0, NULL, NULL), kernel);
    for (uint32_t i = 0; i < c->n_args; i++)
        if (mem[i]) {
            ok(clEnqueueReadBuffer(d->queue, mem[i], CL_TRUE, 0, c->arg[i].bytes, image + c->arg[i].offset, 0, NULL,
                                   NULL),
               kernel);
            clReleaseMemObject(mem[i]);
            munmap(memory[i].map, memory[i].bytes);
        }
    clReleaseKernel(k);
}

void kernel_twin(const struct mx_program_key *key, const char *kernel, const struct mx_case *c, uint8_t *image) {
    assert_true(twin_run_case(key, kernel, c, image));
}

void kernel_compare(struct kernel_device *d, cl_program program, const struct mx_program_key *key, const char *kernel,
                    const struct kernel_style *style, const struct mx_case *c, const uint8_t *image) {
    uint8_t *found = malloc(c->image_bytes), *expected = malloc(c->image_bytes);
    assert_true(found && expected);
    memcpy(found, image, c->image_bytes);
    memcpy(expected, image, c->image_bytes);
    kernel_run(d, program, kernel, style, c, found);
    kernel_twin(key, kernel, c, expected);
    for (uint32_t i = 0; i < c->n_args; i++) {
        const struct mx_case_arg *a = &c->arg[i];
        for (uint32_t at = 0; a->kind == MX_ARG_MEM && at < a->bytes; at++)
            if (found[a->offset + at] != expected[a->offset + at]) {
                uint32_t f, e;
                at = at / 4 * 4;
                memcpy(&f, found + a->offset + at, 4);
                memcpy(&e, expected + a->offset + at, 4);
                fail_msg("%s, %s, format %u group %u kv %u on %s: argument %u, word %u of %u: %08x, the twin "
                         "has %08x",
                         kernel, style->name, key->format, key->group, key->kv, d->name, i, at / 4, a->bytes / 4, f, e);
            }
    }
    free(found);
    free(expected);
}
