/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: a pure function that init follows to the byte, whose buffers never stand in each other's way. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/engine_kit.h"

static struct moxie_device_facts device_facts(void) {
    struct moxie_device_facts facts;
    struct moxie_failure failure;
    check_ok(moxie_device_facts(0, &facts, &failure), failure);
    return facts;
}

/* Facts of a device that is not here. */
static struct moxie_device_facts some_facts(void) {
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    facts.global_bytes = 1u << 30;
    facts.max_alloc_bytes = 1u << 28;
    facts.host_unified = 1;
    memcpy(facts.version, "OpenCL 1.2", sizeof "OpenCL 1.2");
    facts.little_endian = facts.compute_units = facts.max_work_group = 1;
    facts.fp_config = CL_FP_ROUND_TO_NEAREST | CL_FP_INF_NAN;
    return facts;
}

/* ---- Pure, and what init does ---- */

static void test_pure(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_plan first, second;
    const struct moxie_config config = kit_config();
    const struct moxie_device_facts facts = device_facts();
    (void)state;
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    memset(&first, 0x55, sizeof first);
    memset(&second, 0xaa, sizeof second);
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &first, &kit.failure), kit.failure);
    kit_start(&kit, &config);
    assert_memory_equal(&kit.plan, &first, sizeof first);
    assert_int_equal(kit.engine->launches, first.enqueues);
    assert_int_equal(kit.engine->cl.n_programs, first.programs);
    kit_stop(&kit);
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &second, &kit.failure), kit.failure);
    assert_memory_equal(&first, &second, sizeof first);
    kit_close(&kit);
}

static void test_defaults(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_plan plan;
    struct moxie_config config = MOXIE_CONFIG;
    struct moxie_device_facts facts = some_facts();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), kit.failure);
    assert_int_equal(plan.context, 512); /* the model's own limit */
    assert_int_equal(plan.sequences, 1);
    assert_int_equal(plan.kv_blocks, 512 / 64);
    assert_int_equal(plan.step_tokens, 256);
    assert_int_equal(plan.step_logits, 1);
    /* config.json: 2 layers, 5 KV heads of 16, fp32 */
    assert_int_equal(plan.kv_bytes_per_token, 2 * 2 * 5 * 16 * 4);
    assert_int_equal(plan.region_bytes[MOXIE_REGION_SESSION], 512 * plan.kv_bytes_per_token);
    assert_int_equal(plan.device_bytes, plan.region_bytes[MOXIE_REGION_SESSION] + plan.region_bytes[MOXIE_REGION_STEP]);
    struct kit small = {.engine = NULL};
    struct moxie_plan less;
    kit_open_kv(&small, "qwen2", PK_WEIGHTS_KEEP, MX_KV_I8);
    check_ok(moxie_plan(&small.bundle, &facts, &config, &less, &kit.failure), kit.failure);
    assert_int_equal(less.kv_bytes_per_token, 2 * 2 * 5 * (16 + 1)); /* a scale of one byte for each head */
    assert_int_equal(less.region_bytes[MOXIE_REGION_STEP], plan.region_bytes[MOXIE_REGION_STEP]);
    kit_close(&small);
    facts.host_unified = 0;
    uint64_t shared = plan.device_bytes;
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), kit.failure);
    assert_int_equal(plan.device_bytes, shared + plan.weight_bytes);
    config.context = 100;
    config.sequences = 7;
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), kit.failure);
    assert_int_equal(plan.kv_blocks, 2 * 7);
    assert_int_equal(plan.step_tokens, 100);
    assert_int_equal(plan.step_logits, 7);
    config.kv_positions = 65;
    config.step_tokens = 3; /* raised: each sequence can take a token */
    check_ok(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), kit.failure);
    assert_int_equal(plan.kv_blocks, 2);
    assert_int_equal(plan.step_tokens, 7);
    kit_close(&kit);
}

/* ---- The lines ---- */

struct lines {
    const struct moxie_plan *plan;
    uint64_t end[MOXIE_REGIONS]; /* of the last buffer of each region */
    uint32_t buffers[MOXIE_REGIONS], launches;
    uint64_t layer;
    char last[32];
    int region;
};

static void add_line(void *user, int region, const char *name, uint64_t offset, uint64_t bytes) {
    struct lines *l = user;
    assert_true(name[0] && region < MOXIE_REGIONS);
    if (region < 0) { /* launches come last, in order; layers one after the other */
        assert_int_equal(bytes, l->launches++);
        assert_int_equal(strncmp(name, "mx_", 3), 0);
        assert_true(offset == UINT64_MAX || offset == l->layer || offset == l->layer + 1);
        l->layer = offset == UINT64_MAX ? l->layer : offset;
        l->region = MOXIE_REGIONS;
        return;
    }
    assert_true(region >= l->region);
    l->region = region;
    assert_true(bytes > 0 && offset + bytes <= l->plan->region_bytes[region]);
    if (region != MOXIE_REGION_STEP) { /* one after the other */
        assert_int_equal(offset, l->end[region]);
    }
    assert_int_equal(offset % 4096, 0);
    l->end[region] = offset + bytes > l->end[region] ? offset + bytes : l->end[region];
    l->buffers[region]++;
    if (region == MOXIE_REGION_SESSION) {
        strncpy(l->last, name, sizeof l->last - 1);
    }
}

static void test_lines(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_plan plan;
    const struct moxie_config config = kit_config();
    const struct moxie_device_facts facts = some_facts();
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        struct lines l = {.plan = &plan};
        kit_open(&kit, kit_model[i], PK_WEIGHTS_INT4);
        check_ok(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), kit.failure);
        check_ok(moxie_plan_visit(&kit.bundle, &facts, &config, add_line, &l, &kit.failure), kit.failure);
        assert_int_equal(l.launches, plan.launches);
        assert_int_equal(l.layer, kit.model.layers - 1);
        assert_int_equal(l.buffers[MOXIE_REGION_HOST], 1);
        assert_int_equal(l.buffers[MOXIE_REGION_SESSION], 2 * kit.model.layers);
        assert_string_equal(l.last, kit.model.layers == 2 ? "layer 1 values" : "layer 2 values");
        assert_int_equal(l.end[MOXIE_REGION_SESSION], plan.region_bytes[MOXIE_REGION_SESSION]);
        for (int r = 0; r < MOXIE_REGIONS; r++) {
            assert_int_equal(plan.region_bytes[r] % 4096, 0);
        }
        assert_true(l.end[MOXIE_REGION_HOST] + 4096 > plan.region_bytes[MOXIE_REGION_HOST]);
        kit_close(&kit);
    }
}

/* ---- Overlaps: who wrote the bytes that a launch reads? ---- */

#define B(buffer) (1ull << MX_BUFFER_##buffer)

/* What each kernel writes, from the descriptions in opencl/kernels; the last buffer operand of mx_linear is its output.
 * Everything else that is an operand is read. */
static uint64_t written_by(const struct mx_op *op) {
    static const struct {
        const char *kernel;
        uint64_t buffers;
    } table[] = {
        {"mx_embed", B(X)},
        {"mx_rope_table", B(ANGLES)},
        {"mx_kv_copy", 0},
        {"mx_norm", B(NORM) | B(QUANT) | B(QUANT_SCALE) | B(QUANT_SUM)},
        {"mx_quantise", B(QUANT) | B(QUANT_SCALE) | B(QUANT_SUM)},
        {"mx_rope_kv", B(Q)},
        {"mx_attention", B(ATTENTION)},
        {"mx_route", B(SELECTED) | B(WEIGHT) | B(LIGHT) | B(CARRIED)},
        {"mx_sort", B(COUNTS) | B(JOBS_EXPERTS) | B(ENTRY_ROWS) | B(ENTRY)},
        {"mx_keep", B(KEPT)},
        {"mx_combine", B(X)},
    };
    if (strcmp(op->kernel, "mx_linear") == 0) {
        uint32_t i = op->operands;
        while (op->operand[--i].kind != MX_OPERAND_BUFFER) {
        }
        return 1ull << op->operand[i].value;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(op->kernel, table[i].kernel) == 0) {
            return table[i].buffers;
        }
    }
    fail_msg("kernel %s is not in the table", op->kernel);
    return 0;
}

/* Read and changed: its old content counts. */
static bool updates(const struct mx_op *op, uint32_t buffer) {
    const bool carried =
        buffer == MX_BUFFER_CARRIED && op->operand[16].value & MX_LAYER_CARRIED; /* flags of mx_route */
    return (buffer == MX_BUFFER_X && strcmp(op->kernel, "mx_embed") != 0) || buffer == MX_BUFFER_COUNTS || carried;
}

struct memory {
    struct mx_plan plan;
    uint8_t *writer;  /* (bytes of STEP) the buffer that wrote each byte last, 0xff: nobody */
    uint64_t written; /* by anybody so far */
};

static void write_buffer(struct memory *m, uint32_t buffer) {
    memset(m->writer + m->plan.place[buffer].offset, (int)buffer, (size_t)m->plan.place[buffer].bytes);
    m->written |= 1ull << buffer;
}

static void read_buffer(const struct memory *m, uint32_t buffer, const char *kernel) {
    const struct mx_place *p = &m->plan.place[buffer];
    for (uint64_t i = 0; i < p->bytes; i++) {
        if (m->writer[p->offset + i] != buffer) {
            fail_msg("%s reads '%s', byte %llu of it was last written by '%s'", kernel,
                     mx_buffer_name((enum mx_buffer)buffer), (unsigned long long)i,
                     m->writer[p->offset + i] < MX_BUFFERS ? mx_buffer_name((enum mx_buffer)m->writer[p->offset + i])
                                                           : "nobody");
        }
    }
}

/* Operands that a launch binds but does not use: the quantised site of float matrices (the floats' of integer ones are
 * not operands at all), what only light experts need. */
static bool unused(const struct mx_op *op, uint32_t buffer) {
    bool quant = buffer >= MX_BUFFER_QUANT && buffer <= MX_BUFFER_QUANT_SUM;
    bool light = buffer == MX_BUFFER_LIGHT || buffer == MX_BUFFER_NORM;
    return (quant && strcmp(op->kernel, "mx_linear") == 0 && op->program.format > MX_FORMAT_I8) ||
           (light && strcmp(op->kernel, "mx_combine") == 0 && op->operand[16].value == 0);
}

static enum moxie_error run_op(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct memory *m = context;
    uint64_t out = written_by(op);
    (void)failure;
    for (uint32_t i = 0; i < op->operands; i++) {
        uint32_t buffer = op->operand[i].value;
        if (op->operand[i].kind == MX_OPERAND_BUFFER && buffer != MX_BUFFER_STATUS && !unused(op, buffer) &&
            (!(out >> buffer & 1) || updates(op, buffer))) {
            read_buffer(m, buffer, op->kernel);
        }
    }
    for (uint32_t i = 0; i < MX_BUFFERS; i++) {
        if (out >> i & 1) {
            write_buffer(m, i);
        }
    }
    return MOXIE_OK;
}

static void check_overlaps(const struct mx_bundle *bundle, const struct moxie_config *config) {
    struct memory m;
    struct moxie_failure failure;
    const struct moxie_device_facts facts = some_facts();
    check_ok(mx_plan(bundle, &facts, config, &m.plan, &failure), failure);
    m.written = 0;
    m.writer = malloc((size_t)m.plan.facts.region_bytes[MOXIE_REGION_STEP]);
    assert_non_null(m.writer);
    memset(m.writer, 0xff, (size_t)m.plan.facts.region_bytes[MOXIE_REGION_STEP]);
    write_buffer(&m, MX_BUFFER_SEGMENTS);
    write_buffer(&m, MX_BUFFER_IOTA);
    write_buffer(&m, MX_BUFFER_OPS);
    for (int step = 0; step < 2; step++) { /* the tables must outlive a step */
        for (uint32_t i = MX_BUFFER_STATUS; i <= MX_BUFFER_BLOCKS; i++) {
            write_buffer(&m, i);
        }
        check_ok(mx_model_walk(bundle, m.plan.kv_blocks, m.plan.max_blocks, config->experts, run_op, &m, &failure),
                 failure);
        read_buffer(&m, MX_BUFFER_LOGITS, "the host");
        read_buffer(&m, MX_BUFFER_KEPT, "the host");
        read_buffer(&m, MX_BUFFER_STATUS, "the host");
        read_buffer(&m, MX_BUFFER_OPS, "a list");
        read_buffer(&m, MX_BUFFER_PROGRESS, "a list");
    }
    for (uint32_t i = 0; i < MX_BUFFERS; i++) { /* no memory for what this model does not use */
        bool quant = i >= MX_BUFFER_QUANT && i <= MX_BUFFER_QUANT_SUM;
        assert_true(quant || m.plan.place[i].bytes == 0 || m.written >> i & 1);
    }
    free(m.writer);
}

static void test_overlaps(void **state) {
    static const enum pk_weights weights[] = {PK_WEIGHTS_INT4, PK_WEIGHTS_KEEP};
    (void)state;
    for (int i = 0; i < KIT_MODELS; i++) {
        for (int w = 0; w < 2; w++) {
            struct kit kit = {.engine = NULL};
            kit_open(&kit, kit_model[i], weights[w]);
            for (uint32_t tokens = 1; tokens <= 512; tokens *= 8) {
                struct moxie_config config = MOXIE_CONFIG;
                config.step_tokens = tokens;
                config.step_logits = tokens == 64 ? 64 : 1;
                config.experts = tokens == 8;
                check_overlaps(mx_bundle_of(&kit.bundle), &config);
            }
            kit_close(&kit);
        }
    }
}

/* Overlapping saves what it is for: a plan for long steps is smaller than the sum of its buffers. */
static void test_overlaps_save(void **state) {
    struct kit kit = {.engine = NULL};
    struct mx_plan plan;
    struct moxie_config config = MOXIE_CONFIG;
    const struct moxie_device_facts facts = some_facts();
    (void)state;
    config.step_tokens = 512;
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_INT4);
    check_ok(mx_plan(mx_bundle_of(&kit.bundle), &facts, &config, &plan, &kit.failure), kit.failure);
    uint64_t sum = 0;
    for (int i = 0; i < MX_BUFFERS; i++) {
        sum += plan.place[i].bytes;
    }
    assert_true(plan.facts.region_bytes[MOXIE_REGION_STEP] < sum * 4 / 5);
    kit_close(&kit);
}

/* ---- Windows ---- */

static void test_windows(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_device_facts facts = some_facts();
    (void)state;
    kit_open(&kit, "moe-sparse-step", PK_WEIGHTS_F32);
    const struct mx_bundle *b = mx_bundle_of(&kit.bundle);
    uint64_t largest = 0;
    for (uint32_t i = 0; i < b->manifest->segments; i++) {
        largest = b->segments[i].bytes > largest ? b->segments[i].bytes : largest;
    }
    for (uint64_t limit = largest; limit < b->size * 2; limit += 4096) {
        struct mx_window window[MX_MAX_WINDOWS];
        uint32_t windows = 0, next = 0;
        facts.max_alloc_bytes = limit;
        check_ok(mx_plan_windows(b, &facts, window, &windows, &kit.failure), kit.failure);
        for (uint32_t i = 0; i < b->manifest->segments; i++) { /* each weight segment in exactly one window */
            if (b->segments[i].kind < MX_SEGMENT_LAYER) {
                continue;
            }
            next += i > window[next].last;
            assert_true(next < windows && i >= window[next].first && i <= window[next].last);
            assert_true(b->segments[i].offset >= window[next].offset);
            assert_true(b->segments[i].offset + b->segments[i].bytes <= window[next].offset + window[next].bytes);
        }
        assert_int_equal(next, windows - 1);
        for (uint32_t i = 0; i < windows; i++) {
            assert_true(window[i].bytes <= limit && window[i].offset % 4096 == 0);
            assert_true(i == 0 || window[i].offset >= window[i - 1].offset + window[i - 1].bytes);
        }
    }
    facts.max_alloc_bytes = largest - 1;
    struct moxie_plan plan;
    const struct moxie_config config = MOXIE_CONFIG;
    check_error(moxie_plan(&kit.bundle, &facts, &config, &plan, &kit.failure), MOXIE_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(kit.failure.what, "segment"));
    kit_close(&kit);
}

/* ---- Contradictions ---- */

static void test_refused(void **state) {
    struct kit kit = {.engine = NULL};
    struct moxie_plan plan;
    struct moxie_failure *f = &kit.failure;
    struct moxie_bundle closed = {{0}};
    const struct moxie_config config = MOXIE_CONFIG;
    const struct moxie_device_facts facts = some_facts();
    (void)state;
    kit_open(&kit, "qwen2", PK_WEIGHTS_KEEP);

    struct moxie_config c = config;
    c.size = 4;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_VERSION);
    c = config, c.context = 513;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_ARGUMENT);
    assert_non_null(strstr(f->what, "513"));
    c = config, c.sequences = 257;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_ARGUMENT);
    c = config, c.step_tokens = 8, c.step_logits = 9;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_ARGUMENT);
    c = config, c.step_tokens = 65537;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_ARGUMENT);
    c = config, c.kv_positions = UINT32_MAX;
    check_error(moxie_plan(&kit.bundle, &facts, &c, &plan, f), MOXIE_ERROR_ARGUMENT);

    struct moxie_device_facts d = facts;
    d.size = 4;
    check_error(moxie_plan(&kit.bundle, &d, &config, &plan, f), MOXIE_ERROR_VERSION);
    d = facts, d.global_bytes = 1u << 20;
    check_error(moxie_plan(&kit.bundle, &d, &config, &plan, f), MOXIE_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(f->what, "1048576"));
    d = facts, d.max_alloc_bytes = 1u << 18; /* holds each segment, not STEP */
    check_error(moxie_plan(&kit.bundle, &d, &config, &plan, f), MOXIE_ERROR_DEVICE_MEMORY);

    check_error(moxie_plan(&closed, &facts, &config, &plan, f), MOXIE_ERROR_STATE);
    check_error(moxie_plan(&kit.bundle, NULL, &config, &plan, f), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_plan(&kit.bundle, &facts, NULL, &plan, f), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_plan(&kit.bundle, &facts, &config, NULL, NULL), MOXIE_ERROR_ARGUMENT);
    check_error(moxie_plan_visit(&kit.bundle, &facts, &config, NULL, NULL, f), MOXIE_ERROR_ARGUMENT);
    kit_close(&kit);
}

/* Layers may differ in light experts, and so in the logits that they hand on. */
static void test_carried(void **state) {
    (void)state;
    const struct mx_layer wide = {.routed = 200, .top_k = 2, .width = 32, .copies = 150};
    const struct mx_layer narrow = {.routed = 60, .top_k = 2, .width = 32, .copies = 10};
    struct mx_layer layers[4] = {wide, wide, narrow, narrow};
    struct mx_manifest manifest = {.model = {.layers = 4, .hidden = 64}, .layers = 4};
    const struct mx_bundle bundle = {.manifest = &manifest, .layers = layers};
    struct moxie_failure f;
    struct mx_shape shape;
    layers[1].flags = layers[3].flags = MX_LAYER_CARRIED;
    check_ok(mx_model_shape(&bundle, &shape, &f), f);
    assert_int_equal(shape.carried, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pure),     cmocka_unit_test(test_defaults),      cmocka_unit_test(test_lines),
        cmocka_unit_test(test_overlaps), cmocka_unit_test(test_overlaps_save), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_carried),
    };
    return check_run(tests);
}
