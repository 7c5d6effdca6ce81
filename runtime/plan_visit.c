/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan as the public interface tells it: its totals, and line by line. */
#include <string.h>

#include "runtime/engine.h"

static enum moxie_error make_plan(const struct moxie_bundle *bundle, const struct moxie_device_facts *facts,
                                  const struct moxie_config *config, const struct mx_bundle **opened,
                                  struct mx_plan *plan, struct moxie_failure *failure) {
    if (!facts || !config)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "facts or config is NULL");
    if (facts->size != sizeof *facts)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET,
                       "moxie_device_facts has size %u, this library knows %zu", facts->size, sizeof *facts);
    *opened = mx_bundle_of(bundle);
    if (!*opened)
        return mx_fail(failure, MOXIE_ERROR_STATE, MX_NO_OFFSET, "the bundle is not open");
    return mx_plan(*opened, facts, config, plan, failure);
}

enum moxie_error moxie_plan(const struct moxie_bundle *bundle, const struct moxie_device_facts *facts,
                            const struct moxie_config *config, struct moxie_plan *plan, struct moxie_failure *failure) {
    const struct mx_bundle *opened = NULL;
    struct mx_plan p;
    if (!plan)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "plan is NULL");
    enum moxie_error e = make_plan(bundle, facts, config, &opened, &p, failure);
    if (!e)
        *plan = p.facts;
    return e;
}

struct visit {
    void (*tell)(void *user, int region, const char *name, uint64_t offset, uint64_t bytes);
    void *user;
    uint32_t launches;
};

static enum moxie_error tell_launch(void *context, const struct mx_op *op, struct moxie_failure *failure) {
    struct visit *v = context;
    (void)failure;
    v->tell(v->user, -1, op->kernel, op->layer == MX_NONE ? UINT64_MAX : op->layer, v->launches++);
    return MOXIE_OK;
}

/* "layer 17 keys" */
static const char *layer_name(char text[32], uint32_t layer, const char *what) {
    char digits[12];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + layer % 10);
        layer /= 10;
    } while (layer);
    memcpy(text, "layer ", 6);
    memcpy(text + 6, digits + at, sizeof digits - at);
    memcpy(text + 6 + sizeof digits - at, what, strlen(what) + 1);
    return text;
}

enum moxie_error moxie_plan_visit(const struct moxie_bundle *bundle, const struct moxie_device_facts *facts,
                                  const struct moxie_config *config,
                                  void (*visit)(void *user, int region, const char *name, uint64_t offset,
                                                uint64_t bytes),
                                  void *user, struct moxie_failure *failure) {
    const struct mx_bundle *opened = NULL;
    struct mx_plan p;
    if (!visit)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "visit is NULL");
    enum moxie_error e = make_plan(bundle, facts, config, &opened, &p, failure);
    if (e || !opened)
        return e;
    visit(user, MOXIE_REGION_HOST, "engine, launch table, scratch", 0, mx_engine_bytes(opened, &p));
    for (uint32_t i = 0; i < 2 * opened->manifest->model.layers; i++) {
        char name[32];
        visit(user, MOXIE_REGION_SESSION, layer_name(name, i / 2, i % 2 ? " values" : " keys"), i * p.kv_layer_bytes,
              p.kv_layer_bytes);
    }
    for (uint32_t i = 0; i < MX_BUFFERS; i++)
        if (p.place[i].bytes)
            visit(user, MOXIE_REGION_STEP, mx_buffer_name((enum mx_buffer)i), p.place[i].offset, p.place[i].bytes);
    struct visit v = {.tell = visit, .user = user};
    return mx_model_walk(opened, p.kv_blocks, p.max_blocks, p.keep, tell_launch, &v, failure);
}
