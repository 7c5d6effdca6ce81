/* SPDX-License-Identifier: Apache-2.0
 *
 * What fits where, before anything runs. */
#ifndef TOOL_PLAN_FIT_H
#define TOOL_PLAN_FIT_H

#include "tools/engine.h"

/* The largest context with which all of the bundle is in the device's memory at once; 0: with none. */
uint32_t plan_largest_context(const struct engine *e, const struct moxie_device_facts *facts,
                              const struct moxie_config *config);

/* Prints a table (or a JSON array) of all facts files in boards/: what the plan needs there, and what fits. An exit
 * status, reported. */
int plan_boards(const struct engine *e, const struct moxie_config *config, bool json);

#endif
