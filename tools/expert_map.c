/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/expert_map.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/report.h"
#include "tools/svg.h"

int expert_map_open(struct expert_map *map, const struct engine *engine) {
    const struct moxie_model *m = &engine->model;
    *map = (struct expert_map){0};
    if (!m->routed_experts) {
        return report_error(MOXIE_ERROR_MODEL, "%s is a dense model: there are no experts to show", m->id);
    }
    map->count = calloc((size_t)m->layers * m->routed_experts, sizeof(*map->count));
    return map->count ? STATUS_OK : report_tool("out of memory");
}

void expert_map_close(struct expert_map *map) {
    free(map->count);
    *map = (struct expert_map){0};
}

void expert_map_add(struct expert_map *map, const struct engine *engine, uint32_t entries) {
    for (uint32_t i = 0; i < entries; i++) {
        for (uint32_t layer = 0; layer < engine->model.layers; layer++) {
            uint32_t taken = 0;
            const int32_t *expert = moxie_experts(engine->moxie, i, layer, &taken);
            for (uint32_t k = 0; k < taken; k++) {
                if ((uint32_t)expert[k] <
                    engine->model.routed_experts) { // beyond: experts without matrices behind shared ones
                    map->count[(size_t)layer * engine->model.routed_experts + (uint32_t)expert[k]]++;
                }
            }
        }
    }
    map->tokens += entries;
}

int expert_map_write(const struct expert_map *map, const struct engine *engine, struct out_file *picture) {
    const struct moxie_model *m = &engine->model;
    char title[256];
    snprintf(title, sizeof(title), "%s: experts taken by %llu tokens, %u of %u in each layer", m->id,
             (unsigned long long)map->tokens, m->experts_per_token, m->routed_experts);
    return svg_heat(picture, title, "layer", "expert", map->count, m->layers, m->routed_experts);
}
