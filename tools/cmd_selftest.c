/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie selftest: every kernel of a device against its scalar twin. */
#include <stdio.h>

#include "tools/board.h"
#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/kernel_test.h"
#include "tools/report.h"

static int run(struct kernel_test *k, bool json) {
    int status = STATUS_OK;
    k->print = !json;
    json_t *result = kernel_test_run(k, &status);
    if (!result) {
        return status;
    }
    status = k->report.wrong ? status_of(MOXIE_ERROR_KNOWN_ANSWER) : STATUS_OK;
    if (json) {
        json_t *device = json_object();
        board_visit(&k->facts, json_fact, device);
        json_object_set_new(result, "device_index", json_integer(k->t.device));
        json_object_set_new(result, "device", device);
        int printed = json_print(result);
        return printed ? printed : status;
    }
    json_decref(result);
    printf("device %u: %s, %s, driver %s\n", k->t.device, k->facts.platform, k->facts.name, k->facts.driver);
    kernel_report_summary(&k->report);
    return finish_output(status);
}

static void help(void *user) {
    struct kernel_test k = *(struct kernel_test *)user;
    int status = STATUS_OK;
    k.reproduce = NULL;
    json_decref(kernel_test_run(&k, &status));
}

int cmd_selftest(int argc, char **argv) {
    struct kernel_test k = {.print = true};
    uint32_t threads = 0, jobs = 0;
    bool json = false;
    const struct arg table[] = {
        {"--device", .kind = ARG_U32, .out = &k.t.device, .value = "D", .max = UINT32_MAX,
         .help = "OpenCL device, as moxie devices counts (default 0)"},
        TUNE_OPTIONS(&k.tune),
        {"--kernels", .kind = ARG_TEXT, .out = &k.t.kernels, .value = "NAMES",
         .help = "only these, as mx_norm,mx_route"},
        {"--alone", .kind = ARG_FLAG, .out = &k.t.alone,
         .help = "kernels by themselves, not in the lists that processors run"},
        {"--small", .kind = ARG_FLAG, .out = &k.t.small, .help = "a selection, for slow drivers"},
        {"--threads", .kind = ARG_U32, .out = &threads, .value = "N", .min = 1, .max = 4096,
         .help = "threads of a CPU driver (default: its own choice)"},
        HELPERS_OPTION(&jobs),
        {"--reproduce", .kind = ARG_TEXT, .out = &k.reproduce, .value = "FOLDER",
         .help = "write the first wrong case there, with a program that shows it"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print a JSON object"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Compares every kernel, in the form that a device would use, with its scalar twin, bit for bit.",
        .details = "Exit status 0 when all are right; else the wrong kernel, its program and shape, and the first\n"
                   "element that differs are told, and the portable kernel is tried: a model would run in spite of a\n"
                   "wrong variant, as the library finds it at start and takes the portable kernel, but it refuses a\n"
                   "device whose portable kernel is wrong.",
        .example = "    moxie selftest --device 1",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    if (k.t.kernels && !kernel_test_knows(k.t.kernels)) {
        return usage_error("--kernels: '%s' names no kernel, or one that is none", k.t.kernels);
    }
    status = tune_parse(&k.tune);
    if (status != STATUS_OK) {
        return status;
    }
    engine_threads(threads);
    interrupt_install();
    struct helpers helpers;
    k.helpers = &helpers;
    helpers_start(&helpers, jobs, help, &k);
    status = run(&k, json);
    helpers_end(&helpers);
    return status;
}
