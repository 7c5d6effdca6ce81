/* SPDX-License-Identifier: Apache-2.0
 *
 * How a list's units are shared out (mx_share of opencl/kernels/sequence.cl): each is in one share, and a work-item
 * that is given an empty share may stop. A unit that nobody takes is waited for without end. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/kernel_device.h"

enum { WORKERS = 17, UNITS = 150, SHARES = 16 * WORKERS };

static const char kernel[] = "__kernel void shares(__global uint2 *share, uint all, uint workers) {"
                             "    share[get_global_id(0)] = mx_share((uint)get_global_id(0), all, workers);"
                             "}";

static cl_program build(struct kernel_device *d) {
    char *arith = kernel_source("arith"), *list = kernel_source("sequence");
    char *function = strstr(list, "MX_FN uint2 mx_share("), *end = function ? strstr(function, "\n}\n") : NULL;
    if (!end)
        fail_msg("sequence.cl has no mx_share");
    else
        end[2] = 0;
    const char *text[] = {arith, function, kernel};
    cl_int code;
    cl_program program = clCreateProgramWithSource(d->context, 3, text, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clBuildProgram(program, 1, &d->device, "-cl-std=CL1.2 -w", NULL, NULL), CL_SUCCESS);
    free(arith);
    free(list);
    return program;
}

static void check(const cl_uint2 *share, uint32_t all, uint32_t workers) {
    uint8_t taken[UNITS] = {0};
    bool empty = false;
    for (uint32_t n = 0; n < SHARES; n++) {
        if (share[n].s[0] > share[n].s[1] || share[n].s[1] > all || (empty && share[n].s[0] < share[n].s[1]))
            fail_msg("%u units, %u work-items: share %u is %u to %u", all, workers, n, share[n].s[0], share[n].s[1]);
        empty = share[n].s[0] == share[n].s[1];
        for (uint32_t unit = share[n].s[0]; unit < share[n].s[1]; unit++)
            taken[unit]++;
    }
    for (uint32_t unit = 0; unit < all; unit++)
        if (taken[unit] != 1)
            fail_msg("%u units, %u work-items: unit %u is in %u shares", all, workers, unit, taken[unit]);
}

static void test_each_unit_is_in_one_share(void **state) {
    (void)state;
    static cl_uint2 share[SHARES];
    struct kernel_device d;
    kernel_device_open(&d);
    cl_program program = build(&d);
    cl_int code;
    cl_kernel k = clCreateKernel(program, "shares", &code);
    assert_int_equal(code, CL_SUCCESS);
    cl_mem memory = clCreateBuffer(d.context, CL_MEM_READ_WRITE, sizeof share, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    clSetKernelArg(k, 0, sizeof(cl_mem), &memory);
    for (cl_uint workers = 1; workers <= WORKERS; workers++)
        for (cl_uint all = 0; all <= UNITS; all++) {
            const size_t global = SHARES, local = 1;
            clSetKernelArg(k, 1, sizeof all, &all);
            clSetKernelArg(k, 2, sizeof workers, &workers);
            assert_int_equal(clEnqueueNDRangeKernel(d.queue, k, 1, NULL, &global, &local, 0, NULL, NULL), CL_SUCCESS);
            assert_int_equal(clEnqueueReadBuffer(d.queue, memory, CL_TRUE, 0, sizeof share, share, 0, NULL, NULL),
                             CL_SUCCESS);
            check(share, all, workers);
        }
    clReleaseMemObject(memory);
    clReleaseKernel(k);
    clReleaseProgram(program);
    kernel_device_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_unit_is_in_one_share)};
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
