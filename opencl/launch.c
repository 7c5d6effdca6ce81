/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/launch.h"

#include <string.h>

#include "opencl/known_answers_check.h"
#include "opencl/program.h"
#include "opencl/tunables.h"

static enum moxie_error set_arg(const struct mx_launch *launch, uint32_t index, struct mx_arg arg,
                                struct moxie_failure *failure) {
    const void *value = arg.kind == MX_ARG_MEM ? (const void *)&arg.mem : &arg.u;
    cl_int code = clSetKernelArg(launch->kernel, index, arg.kind == MX_ARG_MEM ? sizeof(cl_mem) : 4, value);
    if (code == CL_SUCCESS)
        return MOXIE_OK;
    enum moxie_error e = mx_cl_failed(code, "clSetKernelArg", launch->name, failure);
    if (failure)
        failure->offset = index;
    return e;
}

enum moxie_error mx_launch_create(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program *program,
                                  const char *kernel, const struct mx_arg *args, uint32_t n_args,
                                  struct moxie_failure *failure) {
    cl_int code;
    *launch = (struct mx_launch){.name = kernel};
    launch->kernel = clCreateKernel(program->program, kernel, &code);
    if (code != CL_SUCCESS)
        return mx_cl_failed(code, "clCreateKernel", kernel, failure);
    enum moxie_error e = mx_cl_own(cl, MX_OBJECT_KERNEL, launch->kernel, failure);
    cl_uint want = 0;
    if (!e) {
        code = clGetKernelInfo(launch->kernel, CL_KERNEL_NUM_ARGS, sizeof want, &want, NULL);
        if (code != CL_SUCCESS)
            e = mx_cl_failed(code, "clGetKernelInfo", kernel, failure);
        else if (want != n_args)
            e = mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "kernel %s takes %u arguments, %u are given",
                        kernel, want, n_args);
    }
    for (uint32_t i = 0; !e && i < n_args; i++)
        e = set_arg(launch, i, args[i], failure);
    return e;
}

enum moxie_error mx_launch_bind(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program_key *program,
                                const char *kernel, const struct mx_arg *args, uint32_t n_args,
                                struct moxie_failure *failure) {
    struct mx_program *p;
    enum moxie_error e = mx_program_get(cl, program, &p, failure);
    if (!e)
        e = mx_check_kernel(cl, p, program, kernel, failure);
    return e ? e : mx_launch_create(cl, launch, p, kernel, args, n_args, failure);
}

enum moxie_error mx_launch_set(struct mx_launch *launch, uint32_t index, struct mx_arg arg,
                               struct moxie_failure *failure) {
    return set_arg(launch, index, arg, failure);
}

/* One side of a grid: base * counts[count] / divide units. */
static void side(struct mx_launch *launch, uint32_t base, enum mx_count count, uint32_t divide) {
    uint32_t i = launch->dims++;
    launch->base[i] = base;
    launch->scale[i] = (uint8_t)count;
    launch->divide[i] = divide;
}

enum { ENTRIES_OF_UNIT = 64 }; /* MX_TOKENS_PER_ITEM of linear_results.cl, unless a tunable says another */

/* Units for the tiles of a matrix: on a processor each takes several tiles that lie side by side. mx_linear is right
 * with any number of units. */
static uint32_t tile_units(const struct mx_cl *cl, uint32_t tiles, enum mx_count jobs) {
    const uint64_t most =
        (uint64_t)cl->facts.compute_units * (jobs == MX_FIXED ? cl->tunables.core_units : cl->tunables.job_units);
    if (mx_in_lanes(&cl->tunables) || tiles <= most)
        return tiles;
    uint32_t share = (uint32_t)(tiles / most + (tiles % most != 0));
    return tiles / share + (tiles % share != 0);
}

void mx_launch_grid(const struct mx_cl *cl, struct mx_launch *launch, const struct mx_grid *grid) {
    launch->dims = 0;
    launch->needs = (uint8_t)grid->count;
    launch->group = cl->tunables.work_group;
    switch (grid->work) {
    case MX_WORK_CORES:
        side(launch, cl->facts.compute_units, MX_FIXED, 1);
        break;
    case MX_WORK_ONE:
        side(launch, 1, MX_FIXED, 1);
        break;
    case MX_WORK_ROWS:
        side(launch, 1, grid->count, 1);
        break;
    case MX_WORK_GRID:
        side(launch, 1, grid->count, 1);
        side(launch, grid->items, MX_FIXED, 1);
        break;
    case MX_WORK_LINEAR:
        side(launch, 1, grid->jobs, 1);
        side(launch, tile_units(cl, grid->items, grid->jobs), MX_FIXED, 1);
        if (mx_in_lanes(&cl->tunables)) /* a processor has enough tiles to be busy, and reads each from memory once */
            side(launch, 1, grid->count, cl->tunables.unit_entries ? cl->tunables.unit_entries : ENTRIES_OF_UNIT);
        break;
    }
}

uint32_t mx_launch_range(const struct mx_launch *launch, const uint32_t counts[MX_COUNTS], size_t global[3],
                         size_t local[3]) {
    if (launch->needs != MX_FIXED && counts[launch->needs] == 0)
        return 0;
    for (uint32_t i = 0; i < launch->dims && i < 3; i++) {
        uint64_t n = (uint64_t)launch->base[i] * (launch->scale[i] == MX_FIXED ? 1 : counts[launch->scale[i]]);
        local[i] = i == 0 ? launch->group : 1;
        global[i] = (size_t)((n + launch->divide[i] - 1) / launch->divide[i]) * local[i];
        if (global[i] == 0)
            return 0;
    }
    return launch->dims;
}

enum moxie_error mx_launch_run(struct mx_cl *cl, const struct mx_launch *launch, const uint32_t counts[MX_COUNTS],
                               cl_event *event, struct moxie_failure *failure) {
    size_t global[3], local[3];
    const uint32_t dims = mx_launch_range(launch, counts, global, local);
    if (event)
        *event = NULL;
    if (!dims)
        return MOXIE_OK;
    cl_int code = clEnqueueNDRangeKernel(cl->queue, launch->kernel, dims, NULL, global, local, 0, NULL, event);
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clEnqueueNDRangeKernel", launch->name, failure);
}

enum moxie_error mx_launch_times(cl_event event, uint64_t *start_ns, uint64_t *end_ns, struct moxie_failure *failure) {
    cl_ulong start = 0, end = 0;
    cl_int code = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
    if (code == CL_SUCCESS)
        code = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
    *start_ns = start;
    *end_ns = end;
    return code == CL_SUCCESS ? MOXIE_OK : mx_cl_queue_failed(code, "clGetEventProfilingInfo", NULL, failure);
}
