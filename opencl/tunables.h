/* SPDX-License-Identifier: Apache-2.0
 *
 * The boards that the library knows: boards/NAME/tunables, embedded by the build (tools/embed_boards.sh). */
#ifndef MX_TUNABLES_H
#define MX_TUNABLES_H

#include <stdbool.h>

#include "opencl/moxie_device.h"

/* A device is of a board when its facts fit all patterns that are given: `*` stands for any text, `|` parts
 * alternatives. */
struct mx_board {
    const char *board, *platform, *name, *version;
    struct moxie_tunables tunables;
};

/* All of them in the order of their names; ends with one whose board is NULL. */
extern const struct mx_board mx_boards[];

/* Of those that fit the one that gives most of platform, name and version, of equals the first; NULL: none fits. Pure.
 */
const struct mx_board *mx_board_of(const struct mx_board *boards, const struct moxie_device_facts *facts);

/* Are these values that kernels can be built and launched with? max_work_group: of the device. Pure. */
enum moxie_error mx_tunables_check(const struct moxie_tunables *tunables, uint32_t max_work_group,
                                   struct moxie_failure *failure);

/* Pure. */
bool mx_pattern_fits(const char *pattern, const char *text);

/* Do kernels use the device in lanes, work-groups of work_group, and not in vectors? */
static inline bool mx_in_lanes(const struct moxie_tunables *t) {
    return t->work_group > 1;
}

#endif
