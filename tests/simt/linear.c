/* SPDX-License-Identifier: Apache-2.0
 *
 * opencl/kernels/linear.cl in NVIDIA's variants, as C: compiled by tests/test_nvidia.c, once for each program, with the
 * options that a driver would get. OpenCL's words become C's; the PTX instructions become calls of the test. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/simt/simt.h"

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef struct {
    uint x, y;
} uint2;
typedef struct {
    uint x, y, z, w;
} uint4;

static struct simt *simt;

#define __OPENCL_C_VERSION__ 120
#define __kernel static
#define __global
#define __constant const
#define __local static /* one work-group runs at a time */
#define get_local_id(d) ((d) == 0 ? simt->thread : 0)
#define get_local_size(d) ((d) == 0 ? simt->size : 1)
#define get_group_id(d) simt->group[d]
#define get_num_groups(d) simt->groups[d]
#define barrier(fences) simt->barrier()
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define clamp(x, low, high) min(max(x, low), high)
#define fma fmaf
#define rint rintf
#define convert_float(i) ((float)(i))
#define convert_int(x) ((int)(x))

static inline int bits_of(float x) {
    return (union {
               float f;
               int i;
           }){.f = x}
        .i;
}
static inline int same(int i) {
    return i;
}
static inline float as_float(int i) {
    return (union {
               int i;
               float f;
           }){.i = i}
        .f;
}
#define as_int(x) _Generic((x), float : bits_of, default : same)(x)

/* dp4a.u32.s32: four unsigned bytes times four signed ones, added to sum (PTX ISA). */
static int dp4a(int sum, uint w, int x) {
    for (int i = 0; i < 32; i += 8)
        sum += (int)(w >> i & 255) * (int)(signed char)((uint)x >> i & 255);
    return sum;
}
#define MX_PTX_DP4A(sum, w, x) sum = dp4a(sum, w, x)
#define MX_PTX_MMA(sum, a, b) simt->mma(sum, a, b)

#define MX_LANES 1
#define MX_HALF_BY_INTEGER
#include "opencl/kernels/arith.cl"
#include "opencl/kernels/weights.cl"
#undef MX_SHARED
#define MX_SHARED /* of pointers */

#include "opencl/kernels/linear_results.cl"
#include "opencl/kernels/linear_parts.cl"
/* as opencl/program.c has it, but for linear_block.cl: lanes have no blocks */
#include "opencl/kernels/linear_tile.cl"
#include "opencl/kernels/linear_tile.cl"
#include "opencl/kernels/linear_tile.cl"
#include "opencl/kernels/linear_tile.cl"
#include "opencl/kernels/linear.cl"

void simt_linear(struct simt *machine, const union simt_arg *a) {
    simt = machine;
    mx_linear(a[0].mem, a[1].mem, a[2].u, a[3].mem, a[4].u, a[5].u, a[6].u, a[7].u, a[8].mem, a[9].mem, a[10].mem,
              a[11].mem, a[12].mem, a[13].mem, a[14].u, a[15].u, a[16].u, a[17].u, a[18].u, a[19].u);
}
