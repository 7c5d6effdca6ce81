/* SPDX-License-Identifier: Apache-2.0
 *
 * There are drivers that leave loops, without a word, when those of a work-item have gone round too often
 * (boards/host-rusticl). How often those of the kernels do is counted here, in their text and a little too high. */
#include "opencl/tunables.h"
#include "runtime/engine.h"
#include "runtime/plan.h"

static uint64_t times(uint64_t n, uint64_t each) {
    return (n + each - 1) / each;
}

/* Of mx_attention, for each block of keys and values: 66 more each further time a work-group goes through a head. */
static uint64_t attention_rounds(uint32_t head_dim, uint32_t lanes) {
    return head_dim + 148 + (times(head_dim, lanes) - 1) * 66;
}

/* Of mx_sort: a work-item goes twice through all entries for each of its experts. */
static uint64_t sort_rounds(uint64_t entries, uint32_t experts, uint32_t lanes) {
    return 2 * times(experts, lanes) * (entries + 2) + times(entries, lanes) + 2 * (uint64_t)experts + 16;
}

/* Of mx_linear, in a unit of that many entries: each set of 16 work-items goes through every lanes / 16th segment of
 * 256 columns, float by float or atom by atom, four entries at once, and adds up what all found for an entry. */
static uint64_t linear_rounds(const struct mx_tensor *t, uint64_t entries, uint32_t lanes) {
    const uint32_t sets = lanes / 16;
    const uint64_t of_segment = (mx_format_is_integer(t->format) ? 40 : 14 + (t->cols < 256 ? t->cols : 256)) + sets;
    return times(entries, 4) * (t->role == MX_ROLE_GATE_UP ? 2 : 1) * times(times(t->cols, 256), sets) * of_segment;
}

enum moxie_error mx_plan_rounds(const struct mx_bundle *bundle, const struct mx_plan *p,
                                const struct moxie_tunables *tunables, struct moxie_failure *failure) {
    const unsigned long long most = tunables->loop_rounds;
    const uint32_t lanes = tunables->work_group, unit_entries = tunables->unit_entries ? tunables->unit_entries : 64;
    if (!most)
        return MOXIE_OK;
    if (!mx_in_lanes(tunables))
        return mx_fail(failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET,
                       "this driver leaves loops after %llu rounds: kernels need work_group 64 or more", most);

    const unsigned long long context = most / attention_rounds(bundle->manifest->model.head_dim, lanes) * MX_KV_BLOCK;
    if (p->context > context)
        return mx_fail(
            failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET,
            "a context of %u positions: this driver leaves loops after %llu rounds, which is enough for %llu",
            p->context, most, context);

    const uint64_t entries = (uint64_t)p->step_tokens * p->shape.selected;
    if (p->shape.router_rows && sort_rounds(entries, p->shape.experts, lanes) > most)
        return mx_fail(failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET,
                       "a step of %u tokens: this driver leaves loops after %llu rounds, too few to sort %llu entries",
                       p->step_tokens, most, (unsigned long long)entries);

    for (uint32_t i = 0; i < bundle->manifest->tensors; i++) {
        const struct mx_tensor *t = &bundle->tensors[i];
        const uint32_t together = unit_entries < p->step_tokens ? unit_entries : p->step_tokens;
        if (linear_rounds(t, together, lanes) > most)
            return mx_fail(
                failure, MOXIE_ERROR_DEVICE_UNFIT, MX_NO_OFFSET,
                "a matrix of %u columns for %u entries: this driver leaves loops after %llu rounds, a larger "
                "work_group or less unit_entries would do",
                t->cols, together, most);
    }
    return MOXIE_OK;
}
