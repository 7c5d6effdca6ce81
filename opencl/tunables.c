/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/tunables.h"

#include <string.h>

#include <CL/cl.h>

#include "platform/fail.h"

/* One alternative of a pattern, which ends where `end` is. A star takes as little as it can, and more when the rest
 * does not fit. */
static bool fits(const char *pattern, const char *end, const char *text) {
    const char *star = NULL, *taken = NULL;
    for (;;) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            taken = text;
        } else if (pattern < end && *text && *pattern == *text) {
            pattern++;
            text++;
        } else if (pattern == end && !*text) {
            return true;
        } else if (star && *taken) {
            pattern = star;
            text = ++taken;
        } else {
            return false;
        }
    }
}

bool mx_pattern_fits(const char *pattern, const char *text) {
    for (;;) {
        const char *end = pattern + strcspn(pattern, "|");
        if (fits(pattern, end, text))
            return true;
        if (!*end)
            return false;
        pattern = end + 1;
    }
}

const struct mx_board *mx_board_of(const struct mx_board *boards, const struct moxie_device_facts *facts) {
    const struct mx_board *best = NULL;
    int most = -1;
    for (const struct mx_board *b = boards; b->board; b++) {
        const int says = (b->platform != NULL) + (b->name != NULL) + (b->version != NULL);
        if (says > most && (!b->platform || mx_pattern_fits(b->platform, facts->platform)) &&
            (!b->name || mx_pattern_fits(b->name, facts->name)) &&
            (!b->version || mx_pattern_fits(b->version, facts->version))) {
            best = b;
            most = says;
        }
    }
    return best;
}

static uint32_t first_of(uint32_t a, uint32_t b, uint32_t c) {
    return a ? a : b ? b : c;
}

/* The stricter of two limits, of which 0 is none. */
static uint32_t stricter(uint32_t a, uint32_t b) {
    return a && b ? (a < b ? a : b) : a | b;
}

/* The work-group that facts alone suggest. */
static uint32_t usual_work_group(const struct moxie_device_facts *facts) {
    if ((facts->type & CL_DEVICE_TYPE_CPU) || facts->max_work_group < 64)
        return 1;
    return facts->max_work_group >= 128 ? 128 : 64;
}

enum { MOST_ENTRIES = 256 }; /* some products keep the sums of all of them in a work-item's memory */

static bool can(uint32_t work_group, uint32_t most) {
    return work_group == 1 || (work_group % 64 == 0 && work_group <= most);
}

enum moxie_error mx_tunables_check(const struct moxie_tunables *t, uint32_t max_work_group,
                                   struct moxie_failure *failure) {
    if (t->size != sizeof *t)
        return mx_fail(failure, MOXIE_ERROR_VERSION, MX_NO_OFFSET, "moxie_tunables has size %u, this library knows %zu",
                       t->size, sizeof *t);
    if (t->work_group && !can(t->work_group, max_work_group))
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET,
                       "work_group %u: 1 or a multiple of 64, of which this device allows at most %u", t->work_group,
                       max_work_group);
    if (t->side_by_side && (t->side_by_side < 4 || t->side_by_side > 8))
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "side_by_side %u is not from 4 to 8",
                       t->side_by_side);
    if (t->unit_entries > MOST_ENTRIES)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "unit_entries %u: at most %d", t->unit_entries,
                       MOST_ENTRIES);
    return MOXIE_OK;
}

enum moxie_error moxie_device_tunables(const struct moxie_device_facts *facts, const struct moxie_tunables *asked,
                                       struct moxie_tunables *tunables, const char **board,
                                       struct moxie_failure *failure) {
    static const struct moxie_tunables nothing = MOXIE_TUNABLES;
    if (!facts || !tunables)
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "facts or tunables is NULL");
    const struct mx_board *known = mx_board_of(mx_boards, facts);
    const struct moxie_tunables *a = asked ? asked : &nothing, *b = known ? &known->tunables : &nothing;
    enum moxie_error e = mx_tunables_check(a, facts->max_work_group, failure);
    if (e)
        return e;
    /* of a card of the family that allows less than the board says, the facts are right */
    const uint32_t group =
        first_of(a->work_group, can(b->work_group, facts->max_work_group) ? b->work_group : 0, usual_work_group(facts));
    const bool processor = group == 1;
    *tunables = (struct moxie_tunables){
        .size = sizeof *tunables,
        .work_group = group,
        .no_lists = a->no_lists | b->no_lists,
        .side_by_side = first_of(a->side_by_side, b->side_by_side, 0),
        .unit_entries = first_of(a->unit_entries, b->unit_entries, 0),
        /* enough to keep cores equally busy, few to start; each of a job reads a long stretch of weights */
        .core_units = first_of(a->core_units, b->core_units, processor ? 32 : 0),
        .job_units = first_of(a->job_units, b->job_units, processor ? 4 : 0),
        .ahead = first_of(a->ahead, b->ahead, 0),
        .row_ahead = first_of(a->row_ahead, b->row_ahead, 0),
        .without = a->without | b->without,
        .loop_rounds = stricter(a->loop_rounds, b->loop_rounds),
    };
    if (board)
        *board = known ? known->board : NULL;
    return MOXIE_OK;
}
