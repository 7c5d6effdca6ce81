/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/known_answers.h"

#include <string.h>

#include "opencl/device.h"
#include "opencl/known_answers_check.h"
#include "opencl/program.h"
#include "opencl/sequence.h"

enum moxie_error mx_known_answers(struct mx_cl *cl, cl_mem memory, uint64_t bytes, struct moxie_failure *failure) {
    if (memory && bytes < MX_KNOWN_ANSWERS_BYTES)
        return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_KNOWN_ANSWERS_BYTES,
                       "%llu bytes for the known answers, %u are needed", (unsigned long long)bytes,
                       MX_KNOWN_ANSWERS_BYTES);
    cl->check_memory = memory;
    return MOXIE_OK;
}

/* The same as a list of one operation. */
static enum moxie_error run_in_sequence(struct mx_cl *cl, cl_mem memory, const struct mx_program *p, const char *kernel,
                                        const struct mx_case *c, uint8_t *image, size_t image_max,
                                        struct moxie_failure *failure) {
    struct mx_launch launch;
    enum moxie_error e = mx_sequence_case(cl, &launch, p, kernel, c, image, image_max, memory, failure);
    if (!e)
        e = mx_cl_write(cl, memory, 0, image, c->image_bytes + MX_SEQUENCE_CASE_BYTES, failure);
    if (!e)
        e = mx_sequence_run(cl, &launch, 0, 1, failure);
    return e ? e : mx_cl_read(cl, memory, 0, image, c->image_bytes, failure);
}

static enum moxie_error run_alone(struct mx_cl *cl, cl_mem memory, const struct mx_program *p, const char *kernel,
                                  const struct mx_case *c, uint8_t *image, struct moxie_failure *failure) {
    struct mx_arg args[MX_MAX_ARGS];
    struct mx_launch launch;
    enum moxie_error e = mx_cl_write(cl, memory, 0, image, c->image_bytes, failure);
    for (uint32_t i = 0; !e && i < c->n_args; i++) {
        const struct mx_case_arg *a = &c->arg[i];
        args[i] = a->kind == MX_ARG_F32 ? mx_arg_f32(a->f) : mx_arg_u32(a->u);
        if (a->kind == MX_ARG_MEM) {
            args[i].kind = MX_ARG_MEM;
            e = mx_cl_sub(cl, memory, a->offset, a->bytes, &args[i].mem, failure);
        }
    }
    if (!e)
        e = mx_launch_create(cl, &launch, p, kernel, args, c->n_args, failure);
    if (!e) {
        mx_launch_grid(cl, &launch, &c->grid);
        e = mx_launch_run(cl, &launch, c->counts, NULL, failure);
    }
    return e ? e : mx_cl_read(cl, memory, 0, image, c->image_bytes, failure);
}

enum moxie_error mx_case_run(struct mx_cl *cl, cl_mem memory, const struct mx_program *p, const char *kernel,
                             const struct mx_case *c, uint8_t *image, size_t image_max, struct moxie_failure *failure) {
    const uint32_t mark = cl->n_objects;
    enum moxie_error e = strcmp(p->key.kernel_file, "sequence") == 0
                             ? run_in_sequence(cl, memory, p, kernel, c, image, image_max, failure)
                             : run_alone(cl, memory, p, kernel, c, image, failure);
    mx_cl_release_to(cl, mark);
    return e;
}

static const struct mx_known_answer *find(const struct mx_program_key *key, const char *kernel) {
    const struct mx_known_answer *a = mx_known_answer_table;
    while (a->kernel &&
           (a->format != key->format || a->group != key->group || a->kv != key->kv || strcmp(a->kernel, kernel) != 0))
        a++;
    return a->kernel ? a : NULL;
}

static enum moxie_error check(struct mx_cl *cl, const struct mx_program *p, const struct mx_program_key *key,
                              const char *kernel, struct moxie_failure *failure) {
    struct mx_case c;
    uint64_t digest = 0;
    enum moxie_error e = MOXIE_OK;
    for (uint32_t run = 0; !e && mx_case_make(key, kernel, run, cl->scratch, &c); run++) {
        e = mx_case_run(cl, cl->check_memory, p, kernel, &c, cl->scratch, MX_KNOWN_ANSWERS_BYTES, failure);
        digest = mx_case_digest(digest, cl->scratch, c.image_bytes);
    }
    if (!e && digest != find(key, kernel)->digest)
        e = mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET,
                    "kernel %s (format %u, group %u, KV %u, variant %u) gives wrong bits on device %s", kernel,
                    key->format, key->group, key->kv, p->dot, cl->facts.name);
    return e;
}

enum moxie_error mx_check_kernel(struct mx_cl *cl, struct mx_program *p, const struct mx_program_key *key,
                                 const char *kernel, struct moxie_failure *failure) {
    if (!cl->check_memory)
        return MOXIE_OK;
    for (uint32_t i = 0; i < p->n_checked; i++)
        if (p->checked_format[i] == key->format && strcmp(p->checked[i], kernel) == 0)
            return MOXIE_OK;
    if (!find(key, kernel))
        return mx_fail(failure, MOXIE_ERROR_KNOWN_ANSWER, MX_NO_OFFSET,
                       "no known answer for kernel %s, format %u, group %u, KV %u", kernel, p->key.format, p->key.group,
                       p->key.kv);
    struct moxie_failure why;
    enum moxie_error e = check(cl, p, key, kernel, &why);
    while (e == MOXIE_ERROR_KNOWN_ANSWER && mx_program_distrust(p)) {
        cl->distrusted++;
        p->why = MOXIE_ERROR_KNOWN_ANSWER;
        p->why_kernel = kernel;
        mx_cl_log(cl, why.what);
        mx_cl_log(cl, p->half_by_integer ? "trying it with halves converted by integers" : "trying the portable one");
        e = mx_program_build(cl, p, &why);
        if (!e)
            e = check(cl, p, key, kernel, &why);
    }
    if (e && failure)
        *failure = why;
    if (!e && p->n_checked < sizeof p->checked / sizeof p->checked[0]) {
        p->checked_format[p->n_checked] = key->format;
        p->checked[p->n_checked++] = kernel;
    }
    return e;
}
