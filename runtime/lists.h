/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of a step's launches that one launch of mx_sequence takes care of (opencl/sequence.h). A list ends where the
 * next launch needs another program or one window more than a list can have. */
#ifndef MX_LISTS_H
#define MX_LISTS_H

#include "opencl/sequence.h"
#include "runtime/plan.h"

struct mx_list {
    struct mx_program_key program;
    uint32_t first, end; /* of the walk's launches; a list of one is enqueued as itself */
    uint32_t windows, window[MX_SEQUENCE_WINDOWS];
};

/* Appends `op`, the walk's launch list->end. False: it does not fit and begins the next list. `range` (windows): the
 * windows over the weights. */
bool mx_list_take(struct mx_list *list, const struct mx_op *op, const struct mx_window *range, uint32_t windows);

/* The empty list that follows. */
struct mx_list mx_list_next(const struct mx_list *list);

struct moxie;

/* Builds the programs of all lists, checks every kernel in them and creates their launches: fills list[], launch[],
 * launches and launch_layer[] of the engine. Errors as of mx_launch_bind; COMPILE and KNOWN_ANSWER mean that this
 * device is better off without lists. */
enum moxie_error mx_lists_bind(struct moxie *engine, struct moxie_failure *failure);

/* Writes the table that the lists are read from; after everything else that uses STEP during init. */
enum moxie_error mx_lists_write(struct moxie *engine, struct moxie_failure *failure);

#endif
