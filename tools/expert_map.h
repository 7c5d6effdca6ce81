/* SPDX-License-Identifier: Apache-2.0
 *
 * Which experts a run takes: counted step by step, drawn as layers × experts. */
#ifndef TOOL_EXPERT_MAP_H
#define TOOL_EXPERT_MAP_H

#include "tools/engine.h"
#include "tools/paths.h"

struct expert_map {
    uint64_t *count, tokens; /* (layers, routed experts) */
};

/* Needs an engine whose config.experts was 1. Exit statuses, reported: a dense model has none. */
int expert_map_open(struct expert_map *map, const struct engine *engine);
void expert_map_close(struct expert_map *map);

/* Counts the `entries` tokens of the last step. */
void expert_map_add(struct expert_map *map, const struct engine *engine, uint32_t entries);

/* The picture, into what svg_open has opened, which it ends. An exit status, reported. */
int expert_map_write(const struct expert_map *map, const struct engine *engine, struct out_file *picture);

#endif
