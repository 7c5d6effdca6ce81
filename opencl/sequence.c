/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/sequence.h"

#include <string.h>

#include "opencl/known_answers_check.h"
#include "opencl/program.h"
#include "opencl/tunables.h"

enum { NO_WEIGHTS = 255 };
enum { LAST_INTEGER = 4, FLOAT32 = 7 }; /* of enum mx_format: programs of integer weights also multiply by float32 */

/* In the order of the cases of opencl/kernels/sequence.cl. */
static const struct {
    const char *name;
    uint8_t weights; /* number of its first WEIGHTS argument */
} kernels[] = {
    {"mx_embed", 0},
    {"mx_rope_table", 0},
    {"mx_kv_copy", NO_WEIGHTS},
    {"mx_norm", 0},
    {"mx_linear", 0},
    {"mx_qk_norm", 0},
    {"mx_rope_kv", 1},
    {"mx_attention", NO_WEIGHTS},
    {"mx_quantise", NO_WEIGHTS},
    {"mx_route", NO_WEIGHTS},
    {"mx_sort", NO_WEIGHTS},
    {"mx_combine", NO_WEIGHTS},
    {"mx_keep", NO_WEIGHTS},
    {"", NO_WEIGHTS}, /* no case: such an operation does nothing, which its known answer tells */
};

static uint32_t kernel_number(const char *name) {
    uint32_t i = 0;
    while (*kernels[i].name && strcmp(kernels[i].name, name) != 0)
        i++;
    return i;
}

bool mx_sequence_device(const struct moxie_device_facts *facts, const struct moxie_tunables *tunables) {
    /* not a GPU without lanes, and not the simulator Oclgrind, which says it is both and lacks what inlining leaves
     * behind */
    return !tunables->no_lists && !mx_in_lanes(tunables) && !(facts->type & CL_DEVICE_TYPE_GPU);
}

bool mx_sequence_join(struct mx_program_key *program, const struct mx_program_key *op) {
    struct mx_program_key both = *program;
    both.kernel_file = "sequence";
    const bool float32 = op->format == FLOAT32 && strcmp(op->kernel_file, "linear") == 0;
    if (op->format && !(float32 && both.format && both.format <= LAST_INTEGER)) {
        if (both.format && (both.format != op->format || both.group != op->group))
            return false;
        both.format = op->format;
        both.group = op->group;
    }
    if (op->kv) {
        if (both.kv && both.kv != op->kv)
            return false;
        both.kv = op->kv;
    }
    *program = both;
    return true;
}

void mx_sequence_record(const char *kernel, const struct mx_launch *grid, const uint32_t *args, uint32_t n_args,
                        uint32_t record[MX_OP_WORDS]) {
    memset(record, 0, 4 * MX_OP_WORDS);
    record[0] = kernel_number(kernel);
    for (uint32_t i = 0; i < 3; i++) {
        record[1 + i] = i < grid->dims ? grid->base[i] : 1;
        record[4 + i] = i < grid->dims ? grid->divide[i] : 1;
        record[7] |= i < grid->dims ? (uint32_t)grid->scale[i] << 8 * i : 0;
    }
    record[7] |= (uint32_t)grid->needs << 24;
    memcpy(record + MX_OP_WORDS - MX_OP_ARGS, args, 4ull * n_args);
}

enum { FIRST = 9, END = 10, ARGUMENTS = 11 }; /* of mx_sequence */

static enum moxie_error create(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program *program,
                               const struct mx_sequence_memory *memory, struct moxie_failure *failure) {
    struct mx_arg args[ARGUMENTS] = {mx_arg_mem(memory->step), mx_arg_mem(memory->session)};
    for (uint32_t i = 0; i < MX_SEQUENCE_WINDOWS; i++)
        args[2 + i] = mx_arg_mem(memory->window[i]);
    args[6] = mx_arg_u32(memory->ops);
    args[7] = mx_arg_u32(memory->counts);
    args[8] = mx_arg_u32(memory->progress);
    args[FIRST] = args[END] = mx_arg_u32(0);
    enum moxie_error e = mx_launch_create(cl, launch, program, "mx_sequence", args, ARGUMENTS, failure);
    mx_launch_grid(cl, launch, &(struct mx_grid){.work = MX_WORK_CORES});
    return e;
}

enum moxie_error mx_sequence_bind(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program_key *program,
                                  const struct mx_sequence_memory *memory, struct moxie_failure *failure) {
    struct mx_program *p;
    enum moxie_error e = mx_program_get(cl, program, &p, failure);
    return e ? e : create(cl, launch, p, memory, failure);
}

enum moxie_error mx_sequence_check(struct mx_cl *cl, const struct mx_program_key *program,
                                   const struct mx_program_key *op, const char *kernel, struct moxie_failure *failure) {
    struct mx_program *p;
    enum moxie_error e = mx_program_get(cl, program, &p, failure);
    return e ? e : mx_check_kernel(cl, p, op, kernel, failure);
}

enum moxie_error mx_sequence_run(struct mx_cl *cl, struct mx_launch *launch, uint32_t first, uint32_t end,
                                 struct moxie_failure *failure) {
    const uint32_t counts[MX_COUNTS] = {1};
    enum moxie_error e = mx_launch_set(launch, FIRST, mx_arg_u32(first), failure);
    if (!e)
        e = mx_launch_set(launch, END, mx_arg_u32(end), failure);
    return e ? e : mx_launch_run(cl, launch, counts, NULL, failure);
}

/* In `image` three pages follow the case's own: its record, the counts, the progress. */
enum moxie_error mx_sequence_case(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program *program,
                                  const char *kernel, const struct mx_case *c, uint8_t *image, size_t image_max,
                                  cl_mem memory, struct moxie_failure *failure) {
    uint32_t args[MX_OP_ARGS], number = kernel_number(kernel), page = (uint32_t)(c->image_bytes / MX_PAGE);
    if (c->n_args > MX_OP_ARGS || c->image_bytes + MX_SEQUENCE_CASE_BYTES > image_max)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "the known answer of kernel %s has no room", kernel);
    for (uint32_t i = 0; i < c->n_args; i++) {
        const struct mx_case_arg *a = &c->arg[i];
        bool window = i == kernels[number].weights || i == kernels[number].weights + 1u;
        memcpy(&args[i], a->kind == MX_ARG_F32 ? (const void *)&a->f : &a->u, 4);
        if (a->kind == MX_ARG_MEM)
            args[i] = a->offset / MX_PAGE * (window ? MX_SEQUENCE_WINDOWS : 1);
    }
    uint32_t *record = (uint32_t *)(image + c->image_bytes);
    memset(record, 0, MX_SEQUENCE_CASE_BYTES);
    mx_launch_grid(cl, launch, &c->grid);
    mx_sequence_record(kernel, launch, args, c->n_args, record);
    memcpy(record + MX_PAGE / 4, c->counts, sizeof c->counts);
    const struct mx_sequence_memory all = {.step = memory,
                                           .session = memory,
                                           .window = {memory, memory, memory, memory},
                                           .ops = page,
                                           .counts = page + 1,
                                           .progress = page + 2};
    return create(cl, launch, program, &all, failure);
}
