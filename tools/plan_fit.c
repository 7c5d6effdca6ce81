/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/plan_fit.h"

#include <stdio.h>

#include "tools/board.h"
#include "tools/json_out.h"
#include "tools/report.h"

/* All of it, also weights that are only mapped: a device that has no room for them reads them from the file each time.
 */
static bool fits(const struct engine *e, const struct moxie_device_facts *facts, struct moxie_config config,
                 uint32_t context) {
    struct moxie_failure failure = {0};
    struct moxie_plan p;
    config.context = context;
    return moxie_plan(&e->bundle, facts, &config, &p, &failure) == MOXIE_OK &&
           p.weight_bytes + p.region_bytes[MOXIE_REGION_SESSION] + p.region_bytes[MOXIE_REGION_STEP] +
                   (facts->host_unified ? p.region_bytes[MOXIE_REGION_HOST] : 0) <=
               facts->global_bytes;
}

uint32_t plan_largest_context(const struct engine *e, const struct moxie_device_facts *facts,
                              const struct moxie_config *config) {
    uint32_t low = 0, high = e->model.max_positions; // fits with low (if it is not 0)
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        if (fits(e, facts, *config, middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

struct boards {
    const struct engine *engine;
    const struct moxie_config *config;
    json_t *list; /* NULL: print text */
};

static int add_board(void *user, const char *path) {
    const struct boards *b = user;
    struct moxie_device_facts facts;
    struct moxie_failure failure = {0};
    struct moxie_plan p = {0};
    int status = board_read(path, &facts);
    if (status != STATUS_OK) {
        return status;
    }
    const uint32_t fit = plan_largest_context(b->engine, &facts, b->config);
    const bool planned = moxie_plan(&b->engine->bundle, &facts, b->config, &p, &failure) == MOXIE_OK;
    if (failure.code == MOXIE_ERROR_ARGUMENT) { // what was asked for is wrong, whatever the board
        return report_failure(&failure);
    }
    if (b->list) {
        json_t *row =
            json_pack("{s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:s?}", "board", path, "device", facts.name,
                      "global_bytes", (json_int_t)facts.global_bytes, "fits_context", (int)fit, "weight_bytes",
                      (json_int_t)p.weight_bytes, "host_bytes", (json_int_t)p.region_bytes[MOXIE_REGION_HOST],
                      "session_bytes", (json_int_t)p.region_bytes[MOXIE_REGION_SESSION], "step_bytes",
                      (json_int_t)p.region_bytes[MOXIE_REGION_STEP], "refused", planned ? NULL : failure.what);
        return json_array_append_new(b->list, row) ? report_error(MOXIE_ERROR_MEMORY, "out of memory") : STATUS_OK;
    }
    printf("%-40s %8.1f GB  ", path, (double)facts.global_bytes / 1e9);
    if (fit && fit < b->config->context) {
        printf("no: fits up to %u positions only\n", fit);
    } else if (fit) {
        printf("fits up to %u positions\n", fit);
    } else if (planned) {
        printf("does not fit: weights would be read from the file again and again\n");
    } else {
        printf("no: %s\n", failure.what);
    }
    return STATUS_OK;
}

int plan_boards(const struct engine *e, const struct moxie_config *config, bool json) {
    struct boards b = {.engine = e, .config = config, .list = json ? json_array() : NULL};
    if (!json) {
        printf("%s, %.1f GB of weights\n", e->model.id, (double)e->model.weight_bytes / 1e9);
    }
    int status = board_each(add_board, &b);
    if (status != STATUS_OK) {
        json_decref(b.list);
        return status;
    }
    return json ? json_print(b.list) : finish_output(STATUS_OK);
}
