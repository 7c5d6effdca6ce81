/* SPDX-License-Identifier: Apache-2.0
 *
 * The public bundle functions: mapping, trust, and what a caller may ask of a model. */
#include <stdbool.h>
#include <string.h>

#include "platform/platform.h"
#include "runtime/engine.h"

/* What a struct moxie_bundle holds while it is open. */
struct open_bundle {
    const struct open_bundle *self; /* its own address: the mark of an open bundle that was not copied */
    struct mx_bundle bundle;
    struct mx_mapping mapping; /* {NULL, 0} when the caller gave the bytes */
    void *user;
    uint64_t (*counter_load)(void *user, const char *model);
    int (*counter_store)(void *user, const char *model, uint64_t counter);
    bool verified; /* all of it, since it was opened, and no difference was found later */
};
_Static_assert(MOXIE_BUNDLE_MAJOR == MX_BUNDLE_MAJOR, "the public header names another major version");
_Static_assert(MOXIE_BUNDLE_MINOR == MX_BUNDLE_MINOR, "the public header names another minor version");
_Static_assert(MOXIE_ARITHMETIC == MX_ARITHMETIC_ID, "the public header names another arithmetic");
_Static_assert(sizeof(struct open_bundle) <= sizeof(struct moxie_bundle), "the public bundle is too small");

static struct open_bundle *of(const struct moxie_bundle *bundle) {
    struct open_bundle *b = (struct open_bundle *)(uintptr_t)bundle;
    return b && b->self == b ? b : NULL;
}

const struct mx_bundle *mx_bundle_of(const struct moxie_bundle *bundle) {
    const struct open_bundle *b = of(bundle);
    return b ? &b->bundle : NULL;
}

/* *stored: what the product has accepted before, of the same model; not above the bundle's counter. */
static enum moxie_error check_counter(const struct open_bundle *b, uint64_t *stored, struct moxie_failure *failure) {
    const struct mx_manifest *m = b->bundle.manifest;
    *stored = b->counter_load ? b->counter_load(b->user, m->model.id) : m->security_counter;
    if (m->security_counter < *stored)
        return mx_fail(failure, MOXIE_ERROR_ROLLBACK, MX_NO_OFFSET,
                       "security counter %llu of model '%s' is below %llu, which this product has accepted before",
                       (unsigned long long)m->security_counter, m->model.id, (unsigned long long)*stored);
    return MOXIE_OK;
}

static enum moxie_error open_bytes(struct open_bundle *b, const void *bytes, uint64_t size,
                                   const struct moxie_trust *trust, struct moxie_failure *failure) {
    uint64_t stored;
    enum moxie_error e = mx_bundle_open(&b->bundle, bytes, size, trust, failure);
    b->user = trust->user;
    b->counter_load = trust->counter_load;
    b->counter_store = trust->counter_store;
    return e ? e : check_counter(b, &stored, failure);
}

static enum moxie_error check_arguments(const struct moxie_bundle *bundle, const void *source,
                                        const struct moxie_trust *trust, struct moxie_failure *failure) {
    if (!bundle || !source || !trust)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "bundle, path or bytes, or trust is NULL");
    if (trust->size != sizeof *trust)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET, "moxie_trust has size %u, this library knows %zu",
                       trust->size, sizeof *trust);
    if ((trust->keys && !trust->key) || (trust->revoked && !trust->revoked_id))
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "moxie_trust counts keys that it does not give");
    return MOXIE_OK;
}

enum moxie_error moxie_bundle_open(struct moxie_bundle *bundle, const char *path, const struct moxie_trust *trust,
                                   struct moxie_failure *failure) {
    enum moxie_error e = check_arguments(bundle, path, trust, failure);
    if (e)
        return e;
    memset(bundle, 0, sizeof *bundle);
    struct open_bundle *b = (struct open_bundle *)bundle->opaque;
    e = mx_map_file(path, &b->mapping, failure);
    if (!e)
        e = open_bytes(b, b->mapping.data, b->mapping.size, trust, failure);
    if (e)
        mx_unmap_file(&b->mapping);
    else
        b->self = b;
    return e;
}

enum moxie_error moxie_bundle_open_memory(struct moxie_bundle *bundle, const void *bytes, size_t size,
                                          const struct moxie_trust *trust, struct moxie_failure *failure) {
    enum moxie_error e = check_arguments(bundle, bytes, trust, failure);
    if (e)
        return e;
    if ((uintptr_t)bytes % MX_SEGMENT_ALIGN)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "the bundle's bytes are not aligned to %u",
                       MX_SEGMENT_ALIGN);
    memset(bundle, 0, sizeof *bundle);
    struct open_bundle *b = (struct open_bundle *)bundle->opaque;
    e = open_bytes(b, bytes, size, trust, failure);
    if (!e)
        b->self = b;
    return e;
}

void moxie_bundle_close(struct moxie_bundle *bundle) {
    struct open_bundle *b = of(bundle);
    if (!b)
        return;
    mx_unmap_file(&b->mapping);
    memset(bundle, 0, sizeof *bundle);
}

bool mx_bundle_verified(const struct moxie_bundle *bundle) {
    return of(bundle)->verified;
}

/* The counter is read again: another bundle of the model may have been accepted since this one was opened. */
enum moxie_error mx_bundle_accept(const struct moxie_bundle *bundle, struct moxie_failure *failure) {
    struct open_bundle *b = of(bundle);
    const struct mx_manifest *m = b->bundle.manifest;
    uint64_t stored;
    enum moxie_error e = check_counter(b, &stored, failure);
    if (e)
        return e;
    b->verified = true;
    if (b->counter_store && m->security_counter > stored &&
        b->counter_store(b->user, m->model.id, m->security_counter) != 0)
        return mx_fail(failure, MOXIE_ERROR_ROLLBACK, MX_NO_OFFSET,
                       "the product could not store security counter %llu of model '%s'",
                       (unsigned long long)m->security_counter, m->model.id);
    return MOXIE_OK;
}

enum moxie_error moxie_bundle_verify(struct moxie_bundle *bundle,
                                     int (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                                     struct moxie_failure *failure) {
    struct open_bundle *b = of(bundle);
    if (!b)
        return mx_fail(failure, MOXIE_ERROR_STATE, MX_NO_OFFSET, "the bundle is not open");
    b->verified = false;
    enum moxie_error e = mx_bundle_verify_host(&b->bundle, 0, b->bundle.manifest->segments, progress, user, failure);
    return e ? e : mx_bundle_accept(bundle, failure);
}

static uint32_t max32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

enum moxie_error moxie_bundle_model(const struct moxie_bundle *bundle, struct moxie_model *model) {
    const struct mx_bundle *b = mx_bundle_of(bundle);
    if (!b || !model)
        return MOXIE_ERROR_STATE;
    const struct mx_model *m = &b->manifest->model;
    *model = (struct moxie_model){
        .id = m->id,
        .architecture = m->architecture,
        .hidden = m->hidden,
        .layers = m->layers,
        .heads = m->heads,
        .kv_heads = m->kv_heads,
        .head_dim = m->head_dim,
        .vocab = m->vocab,
        .max_positions = m->max_positions,
        .has_chat = m->chat_template != MX_CHAT_NONE,
        .parameters = b->manifest->weight_parameters,
        .security_counter = b->manifest->security_counter,
    };
    for (uint32_t l = 0; l < m->layers; l++) {
        model->routed_experts = max32(model->routed_experts, b->layers[l].routed);
        model->experts_per_token = max32(model->experts_per_token, b->layers[l].top_k);
    }
    for (uint32_t s = 0; s < b->manifest->segments; s++)
        model->weight_bytes += b->segments[s].kind >= MX_SEGMENT_LAYER ? b->segments[s].bytes : 0;
    const struct mx_segment *license = mx_bundle_segment(b, MX_SEGMENT_LICENSE);
    if (license) {
        model->license = (const char *)b->bytes + license->offset;
        model->license_bytes = (size_t)license->used;
    }
    return MOXIE_OK;
}

uint32_t moxie_version(void) {
    return MOXIE_VERSION;
}
