/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie devices: what OpenCL offers here, and what of it can be used. */
#include <stdio.h>

#include "tools/board.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/json_out.h"
#include "tools/report.h"

static void list_one(uint32_t index, const struct moxie_device_facts *facts, const struct moxie_failure *failure,
                     json_t *list) {
    bool accepted = failure->code == MOXIE_OK;
    if (list) {
        json_t *device = json_pack("{s:i, s:b}", "index", (int)index, "accepted", (int)accepted);
        json_object_set_new(device, "reason", accepted ? json_null() : json_string(failure->what));
        board_visit(facts, json_fact, device);
        json_array_append_new(list, device);
        return;
    }
    printf("%u  %s, %s, driver %s\n", index, facts->platform, facts->name, facts->driver);
    if (failure->code == MOXIE_OK) {
        printf("   accepted: %.1f GB of memory, %u compute units, weights %s\n", (double)facts->global_bytes / 1e9,
               facts->compute_units, facts->host_unified ? "read where they are mapped" : "uploaded once");
    } else {
        printf("   refused: %s\n", failure->what);
    }
}

static int list_all(bool json) {
    struct moxie_failure failure = {0};
    uint32_t count = 0;
    if (moxie_device_count(&count, &failure) != MOXIE_OK) {
        return report_failure(&failure);
    }
    json_t *list = json ? json_array() : NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
        failure = (struct moxie_failure){0};
        enum moxie_error code = moxie_device_facts(i, &facts, &failure);
        if (code != MOXIE_OK && code != MOXIE_ERROR_DEVICE_UNFIT) {
            report_failure(&failure);
        }
        list_one(i, &facts, &failure, list);
    }
    if (json) {
        return json_print(list);
    }
    if (!count) {
        struct moxie_device_facts none = MOXIE_DEVICE_FACTS;
        moxie_device_facts(0, &none, &failure); // says why, and what to install
        return report_failure(&failure);
    }
    return finish_output(STATUS_OK);
}

int cmd_devices(int argc, char **argv) {
    bool json = false, board = false;
    uint32_t index = 0;
    const struct arg table[] = {
        {"--board", .kind = ARG_FLAG, .out = &board, .help = "print one device's facts as a board file instead"},
        {"--device", .kind = ARG_U32, .out = &index, .value = "D", .max = UINT32_MAX,
         .help = "the device whose facts --board prints (default 0)"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print a JSON array"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Lists the OpenCL devices: index, platform, name, driver, and whether Moxie can use them.",
        .details = "Accepted by its facts; its compiler is judged when a model is loaded, by known answers.",
        .example = "    moxie devices --board > boards/my-board/facts",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (board && json) {
        return usage_error("--board prints a board file, --json an array: one of the two");
    }
    if (!board) {
        return list_all(json);
    }
    struct moxie_device_facts facts = MOXIE_DEVICE_FACTS;
    struct moxie_failure failure = {0};
    if (moxie_device_facts(index, &facts, &failure) != MOXIE_OK) {
        return report_failure(&failure);
    }
    board_print(index, &facts);
    return finish_output(STATUS_OK);
}
