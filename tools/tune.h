/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunables of a device on the command line and in words. */
#ifndef TOOL_TUNE_H
#define TOOL_TUNE_H

#include <stdbool.h>

#include "runtime/moxie.h"

/* What --tune and --portable ask for. */
struct tune {
    const char *text; /* "work_group=64,ahead=2048", or NULL */
    bool portable;
    struct moxie_tunables tunables;
};

/* Rows of the options, for a table. */
#define TUNE_OPTIONS(t)                                                                                                \
    {"--portable", .kind = ARG_FLAG, .out = &(t)->portable, .help = "only the portable kernels"}, {                    \
        "--tune", .kind = ARG_TEXT, .out = &(t)->text, .value = "LIST",                                                \
                  .help = "other tunables than the board's, as work_group=64,ahead=2048"                               \
    }

/* Reads the options into t->tunables. An exit status, reported. */
int tune_parse(struct tune *t);

/* Calls `visit` for each tunable. */
void tune_visit(const struct moxie_tunables *tunables, void (*visit)(void *user, const char *key, uint32_t value),
                void *user);

#endif
