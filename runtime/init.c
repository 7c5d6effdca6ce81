/* SPDX-License-Identifier: Apache-2.0
 *
 * The only place where memory is laid out and OpenCL objects are created. */
#include <string.h>

#include "opencl/known_answers.h"
#include "opencl/program.h"
#include "platform/platform.h"
#include "runtime/crypto.h"
#include "runtime/engine.h"
#include "runtime/sample.h"

/* ---- The HOST region ---- */

/* Cuts arrays off a region; with base NULL it only counts. */
struct carver {
    uint8_t *base;
    uint64_t used;
};

static void *carve(struct carver *c, uint64_t bytes) {
    void *p = c->base ? c->base + c->used : NULL;
    c->used += (bytes + 127) / 128 * 128;
    return p;
}

static uint32_t max_objects(const struct mx_bundle *bundle, const struct mx_plan *p) {
    return p->facts.launches + 2 * p->facts.windows + 2 * bundle->manifest->model.layers + MX_BUFFERS +
           MX_CL_OWN_OBJECTS;
}

/* Bytes of HOST, which begins with the engine; with e NULL it only counts (an engine is too large for a stack). */
static uint64_t lay_out(const struct mx_bundle *bundle, const struct mx_plan *p, struct moxie *e,
                        struct mx_object **objects) {
    struct carver c = {.base = (uint8_t *)e};
    uint64_t scratch = mx_sample_scratch(bundle->manifest->model.vocab);
    const uint64_t launches = p->facts.launches;
    carve(&c, sizeof *e);
#define CARVE(field, bytes)                                                                                            \
    do {                                                                                                               \
        void *at = carve(&c, bytes);                                                                                   \
        if (e)                                                                                                         \
            e->field = at;                                                                                             \
    } while (0)
    CARVE(kv_memory, sizeof(cl_mem) * 2 * bundle->manifest->model.layers);
    CARVE(launch, sizeof *e->launch * launches);
    CARVE(event, sizeof(cl_event) * launches);
    CARVE(list, sizeof *e->list * launches);
    CARVE(launch_layer, sizeof *e->launch_layer * launches);
    CARVE(gemm, sizeof *e->gemm * launches);
    CARVE(appended, sizeof *e->appended * (uint64_t)p->sequences);
    *objects = carve(&c, sizeof **objects * (uint64_t)max_objects(bundle, p));
    CARVE(parameters, p->parameters_bytes);
    CARVE(logits, p->place[MX_BUFFER_LOGITS].bytes);
    CARVE(kept, p->place[MX_BUFFER_KEPT].bytes);
    void *kv = carve(&c, mx_kv_bytes(p->kv_blocks, p->sequences, p->max_blocks));
    scratch = scratch > MX_CL_SCRATCH_BYTES ? scratch : MX_CL_SCRATCH_BYTES;
    CARVE(scratch, scratch);
#undef CARVE
    if (e) {
        e->scratch_bytes = scratch;
        memset(e->parameters, 0,
               (size_t)p->parameters_bytes); /* a step sets what changes; the caller's memory is not 0 */
        memset(e->event, 0, sizeof(cl_event) * p->facts.launches);
        mx_kv_init(&e->kv, kv, p->kv_blocks, p->sequences, p->context);
        e->copies = (struct mx_kv_copy *)(e->parameters + p->place[MX_BUFFER_COPIES].offset);
    }
    return c.used;
}

uint64_t mx_engine_bytes(const struct mx_bundle *bundle, const struct mx_plan *plan) {
    struct mx_object *objects;
    return lay_out(bundle, plan, NULL, &objects);
}

/* Fills region[] from the caller's, mapping in one go those that have no memory. */
static enum moxie_error take_regions(const struct mx_plan *p, const struct moxie_region given[MOXIE_REGIONS],
                                     struct moxie_region region[MOXIE_REGIONS], void **mapped, uint64_t *mapped_bytes,
                                     struct moxie_failure *failure) {
    static const char *const names[MOXIE_REGIONS] = {"HOST", "SESSION", "STEP"};
    *mapped = NULL;
    *mapped_bytes = 0;
    bool missing = false;
    for (int i = 0; i < MOXIE_REGIONS; i++) {
        uint64_t need = p->facts.region_bytes[i];
        region[i] = given ? given[i] : (struct moxie_region){.pointer = NULL};
        if (!region[i].pointer) {
            missing = true;
            *mapped_bytes += need;
            continue;
        }
        if (region[i].bytes < need || (uintptr_t)region[i].pointer % MX_REGION_ALIGN)
            return mx_fail(failure, MOXIE_ERROR_MEMORY, need,
                           "region %s has %zu bytes at %s address, the plan needs %llu aligned to 4096", names[i],
                           region[i].bytes,
                           (uintptr_t)region[i].pointer % MX_REGION_ALIGN ? "an unaligned" : "an aligned",
                           (unsigned long long)need);
        for (int k = 0; k < i; k++) { /* those that are NULL have no place yet */
            const uintptr_t a = (uintptr_t)region[k].pointer, b = (uintptr_t)region[i].pointer;
            if (a && a < b + need && b < a + p->facts.region_bytes[k])
                return mx_fail(failure, MOXIE_ERROR_MEMORY, MX_NO_OFFSET, "regions %s and %s overlap", names[k],
                               names[i]);
        }
    }
    if (!missing)
        return MOXIE_OK;
    enum moxie_error e = mx_region_map(*mapped_bytes, mapped, failure);
    uint8_t *next = *mapped;
    for (int i = 0; !e && i < MOXIE_REGIONS; i++)
        if (!region[i].pointer) {
            region[i] = (struct moxie_region){.pointer = next, .bytes = (size_t)p->facts.region_bytes[i]};
            next += region[i].bytes;
        }
    return e;
}

/* ---- Device memory ---- */

static enum moxie_error create_buffers(struct moxie *e, struct moxie_failure *failure) {
    const struct mx_model *m = &e->bundle->manifest->model;
    enum moxie_error err = MOXIE_OK;
    for (uint32_t i = 0; !err && i < e->plan.facts.windows; i++)
        err = mx_cl_window(&e->cl, e->bundle->bytes + e->window_range[i].offset, (size_t)e->window_range[i].bytes,
                           &e->window[i], failure);
    uint8_t *session = e->region[MOXIE_REGION_SESSION].pointer;
    if (!err && e->plan.lists)
        err = mx_cl_region(&e->cl, session, (size_t)e->plan.facts.region_bytes[MOXIE_REGION_SESSION], &e->session,
                           failure);
    for (uint32_t i = 0; !err && i < 2 * m->layers; i++) {
        const uint64_t bytes = e->plan.kv_layer_bytes;
        err = e->plan.lists ? mx_cl_sub(&e->cl, e->session, i * bytes, bytes, &e->kv_memory[i], failure)
                            : mx_cl_region(&e->cl, session + i * bytes, (size_t)bytes, &e->kv_memory[i], failure);
    }
    if (!err)
        err = mx_cl_region(&e->cl, e->region[MOXIE_REGION_STEP].pointer,
                           (size_t)e->plan.facts.region_bytes[MOXIE_REGION_STEP], &e->step, failure);
    for (uint32_t i = 0; !err && i < MX_BUFFERS; i++)
        if (e->plan.place[i].bytes)
            err = mx_cl_sub(&e->cl, e->step, e->plan.place[i].offset, e->plan.place[i].bytes, &e->buffer[i], failure);
    return err;
}

/* The tables that never change. */
static enum moxie_error write_tables(struct moxie *e, struct moxie_failure *failure) {
    uint32_t *scratch = (uint32_t *)e->scratch;
    uint32_t chunk = (uint32_t)(e->scratch_bytes / 8), n = e->bundle->manifest->segments;
    for (uint32_t first = 0; first < n; first += chunk) {
        uint32_t count = n - first < chunk ? n - first : chunk;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t s = first + i, w = mx_window_of(e->window_range, e->plan.facts.windows, s);
            scratch[2 * i] = w;
            scratch[2 * i + 1] = s < e->window_range[w].first
                                     ? 0 /* a segment of the host */
                                     : (uint32_t)((e->bundle->segments[s].offset - e->window_range[w].offset) / 256);
        }
        enum moxie_error err =
            mx_cl_write(&e->cl, e->buffer[MX_BUFFER_SEGMENTS], 8ull * first, scratch, 8ull * count, failure);
        err = err ? err : mx_cl_finish(&e->cl, failure);
        if (err)
            return err;
    }
    n = (uint32_t)(e->plan.place[MX_BUFFER_IOTA].bytes / 4);
    chunk = (uint32_t)(e->scratch_bytes / 4);
    for (uint32_t first = 0; first < n; first += chunk) {
        uint32_t count = n - first < chunk ? n - first : chunk;
        for (uint32_t i = 0; i < count; i++)
            scratch[i] = first + i;
        enum moxie_error err =
            mx_cl_write(&e->cl, e->buffer[MX_BUFFER_IOTA], 4ull * first, scratch, 4ull * count, failure);
        err = err ? err : mx_cl_finish(&e->cl, failure);
        if (err)
            return err;
    }
    return MOXIE_OK;
}

/* ---- Launches ---- */

enum moxie_error mx_bind_launch(struct moxie *e, const struct mx_op *op, struct moxie_failure *failure) {
    struct mx_arg args[MX_OPERANDS];
    for (uint32_t i = 0; i < op->operands; i++) {
        const struct mx_operand *o = &op->operand[i];
        switch (o->kind) {
        case MX_OPERAND_BUFFER:
            args[i] = mx_arg_mem(e->buffer[o->value]);
            break;
        case MX_OPERAND_WINDOW:
            args[i] = mx_arg_mem(e->window[mx_window_of(e->window_range, e->plan.facts.windows, o->value)]);
            break;
        case MX_OPERAND_WINDOW_NUMBER:
            args[i] = mx_arg_u32(mx_window_of(e->window_range, e->plan.facts.windows, o->value));
            break;
        case MX_OPERAND_KV:
            args[i] = mx_arg_mem(e->kv_memory[o->value]);
            break;
        case MX_OPERAND_U32:
            args[i] = mx_arg_u32(o->value);
            break;
        case MX_OPERAND_F32:
            args[i] = mx_arg_f32(o->real);
            break;
        }
    }
    struct mx_launch *launch = &e->launch[e->launches];
    enum moxie_error err = mx_launch_bind(&e->cl, launch, &op->program, op->kernel, args, op->operands, failure);
    if (err)
        return err;
    mx_launch_grid(&e->cl, launch, &op->grid);
    mx_blas_bind(e, e->launches++, op);
    return MOXIE_OK;
}

static enum moxie_error bind_op(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct moxie *e = context;
    const uint32_t i = e->launches;
    e->launch_layer[i] = op->layer;
    e->list[i] = (struct mx_list){.first = i, .end = i + 1};
    enum moxie_error err = mx_bind_launch(e, op, failure);
    return err ? err : mx_progress(&e->cl, "build", e->launches, e->plan.facts.launches, failure);
}

/* Lists where the device runs them, unless another library takes part or they do not work. */
static enum moxie_error bind_all(struct moxie *e, struct moxie_failure *failure) {
    const uint32_t objects = e->cl.n_objects, programs = e->cl.n_programs;
    enum moxie_error err = MOXIE_ERROR_COMPILE;
    if (e->plan.lists && !e->blas && !e->profile) {
        struct moxie_failure why;
        err = mx_lists_bind(e, &why);
        if (!err)
            return MOXIE_OK;
        if (err != MOXIE_ERROR_COMPILE && err != MOXIE_ERROR_KNOWN_ANSWER) {
            if (failure)
                *failure = why;
            return err;
        }
        e->lists_failed = err;
        mx_cl_log(&e->cl, why.what);
        mx_cl_log(&e->cl, "kernels are launched one by one");
        mx_cl_release_to(&e->cl, objects);
        e->cl.n_programs = programs;
        e->launches = 0;
    }
    e->plan.lists = false;
    return mx_model_walk(e->bundle, e->plan.kv_blocks, e->plan.max_blocks, e->plan.keep, bind_op, e, failure);
}

/* ---- Init and close ---- */

static enum moxie_error start(struct moxie *e, const struct moxie_bundle *handle, const struct moxie_config *config,
                              struct mx_object *objects, struct moxie_failure *failure) {
    enum moxie_error err = mx_cl_open(&e->cl, config->device, objects, max_objects(e->bundle, &e->plan), e->scratch,
                                      e->scratch_bytes, &e->callbacks, config->tunables, failure);
    if (err)
        return err;
    uint32_t windows;
    err = mx_plan_windows(e->bundle, &e->cl.facts, e->window_range, &windows, failure);
    if (!err)
        err = create_buffers(e, failure);
    if (!err)
        err = mx_known_answers(&e->cl, e->step, e->plan.facts.region_bytes[MOXIE_REGION_STEP], failure);
    if (!err)
        err = bind_all(e, failure);
    if (!err)
        err = !config->no_verify ? mx_verify_on_device(e, failure)
              : mx_bundle_verified(handle)
                  ? MOXIE_OK
                  : mx_fail(failure, MOXIE_ERROR_STATE, MX_NO_OFFSET,
                            "no_verify, but nothing has verified this bundle since it was opened");
    if (!err)
        err = mx_bundle_accept(handle, failure);
    if (!err)
        err = write_tables(e, failure);
    /* of what was bound: lists may have failed, or a BLAS or a profile forbid them */
    e->plan.facts.enqueues = e->launches;
    e->plan.facts.programs = e->cl.n_programs;
    if (!err && e->plan.lists)
        err = mx_lists_write(e, failure);
    if (!err)
        err = mx_blas_start(e, failure);
    if (!err)
        mx_programs_store(&e->cl);
    return err;
}

enum moxie_error moxie_init(struct moxie **engine, const struct moxie_bundle *bundle, const struct moxie_config *config,
                            const struct moxie_region regions[MOXIE_REGIONS], const struct moxie_callbacks *callbacks,
                            struct moxie_failure *failure) {
    if (!engine || !config)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "engine or config is NULL");
    *engine = NULL;
    const struct mx_bundle *opened = mx_bundle_of(bundle);
    if (!opened)
        return mx_fail(failure, MOXIE_ERROR_STATE, MX_NO_OFFSET, "the bundle is not open");
    if (callbacks && callbacks->size != sizeof *callbacks)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET,
                       "moxie_callbacks has size %u, this library knows %zu", callbacks->size, sizeof *callbacks);
    if (callbacks && callbacks->blas && callbacks->blas->size != sizeof *callbacks->blas)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET, "moxie_blas has size %u, this library knows %zu",
                       callbacks->blas->size, sizeof *callbacks->blas);

    struct moxie_device_facts facts;
    struct mx_plan plan;
    struct moxie_region region[MOXIE_REGIONS];
    void *mapped = NULL;
    uint64_t mapped_bytes = 0;
    enum moxie_error err = moxie_device_facts(config->device, &facts, failure);
    if (!err)
        err = mx_plan(opened, &facts, config, &plan, failure);
    if (!err)
        err = take_regions(&plan, regions, region, &mapped, &mapped_bytes, failure);
    if (err)
        return err;

    struct mx_object *objects;
    struct moxie *e = region[MOXIE_REGION_HOST].pointer;
    memset(e, 0, sizeof *e);
    lay_out(opened, &plan, e, &objects);
    e->bundle = opened;
    e->plan = plan;
    memcpy(e->region, region, sizeof region);
    e->mapped = mapped;
    e->mapped_bytes = mapped_bytes;
    e->callbacks.sha256 = mx_sha256;
    if (callbacks) {
        e->blas = callbacks->blas;
        e->profile = callbacks->launch;
        e->callbacks = (struct mx_callbacks){.sha256 = mx_sha256,
                                             .user = callbacks->user,
                                             .cache_load = callbacks->cache_load,
                                             .cache_store = callbacks->cache_store,
                                             .progress = callbacks->progress,
                                             .profile = callbacks->launch != NULL,
                                             .log = callbacks->log};
    }
    const struct mx_segment *t = mx_bundle_segment(opened, MX_SEGMENT_TOKENIZER);
    if (t) /* a bundle may come without: then only tokens go in and out */
        err = mx_tokenizer_open(&e->tokenizer, opened->bytes + t->offset, (size_t)t->used, failure);
    if (!err)
        err = start(e, bundle, config, objects, failure);
    if (err) {
        moxie_close(e);
        return err;
    }
    *engine = e;
    return MOXIE_OK;
}

void moxie_close(struct moxie *engine) {
    if (!engine)
        return;
    if (engine->blas)
        engine->blas->release();
    mx_cl_close(&engine->cl);
    mx_region_unmap(engine->mapped, engine->mapped_bytes); /* the engine itself may be in it */
}

void moxie_engine_plan(const struct moxie *engine, struct moxie_plan *plan, struct moxie_device_facts *facts) {
    if (engine && plan)
        *plan = engine->plan.facts;
    if (engine && facts)
        *facts = engine->cl.facts;
}

int moxie_engine_replacement(const struct moxie *engine, uint32_t index, struct moxie_replacement *replacement) {
    for (uint32_t i = 0; engine && replacement && i < engine->cl.n_programs; i++) {
        const struct mx_program *p = &engine->cl.program[i];
        if (p->why == MOXIE_OK || index-- > 0)
            continue;
        *replacement = (struct moxie_replacement){.program = p->key.kernel_file,
                                                  .kernel = p->why_kernel,
                                                  .format = p->key.format,
                                                  .group = p->key.group,
                                                  .kv = p->key.kv,
                                                  .was = mx_form_name(p->first_dot, false),
                                                  .is = mx_form_name(p->dot, p->half_by_integer),
                                                  .why = (enum moxie_error)p->why};
        return 1;
    }
    if (!engine || !replacement || !engine->lists_failed || index > 0)
        return 0;
    *replacement = (struct moxie_replacement){
        .program = "sequence", .was = "in lists", .is = "one by one", .why = engine->lists_failed};
    return 1;
}
