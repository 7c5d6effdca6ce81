/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie verify: checks a bundle's signature and every byte. */
#include <jansson.h>
#include <stdio.h>

#include "tools/commands.h"
#include "tools/engine.h"
#include "tools/interrupt.h"
#include "tools/json_out.h"
#include "tools/report.h"

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_update(user, "verifying", done, total);
    return interrupt_pending();
}

static int verify(struct engine *e, const char *path, bool json) {
    struct moxie_failure failure = {0};
    double began = seconds_now();
    enum moxie_error code = moxie_bundle_verify(&e->bundle, on_progress, &e->progress, &failure);
    progress_end(&e->progress);
    if (code != MOXIE_OK) {
        return report_failure_in(path, &failure);
    }
    double seconds = seconds_now() - began;
    if (json) {
        return json_print(json_pack("{s:s, s:s, s:I, s:I, s:f}", "bundle", json_path(path), "model", e->model.id,
                                    "weight_bytes", (json_int_t)e->model.weight_bytes, "security_counter",
                                    (json_int_t)e->model.security_counter, "seconds", seconds));
    }
    printf("%s: signature and every byte are right (model %s, %.1f MB of weights, %.2f s)\n", path, e->model.id,
           (double)e->model.weight_bytes / 1e6, seconds);
    return finish_output(STATUS_OK);
}

int cmd_verify(int argc, char **argv) {
    const char *path = NULL, *pub = NULL;
    bool json = false;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACE, .out = &path, .help = "a file made by moxie pack"},
        {"--pub", .kind = ARG_TEXT, .out = &pub, .value = "FILE", .help = "trust only this public key, not the store"},
        {"--json", .kind = ARG_FLAG, .out = &json, .help = "print the result as a JSON object"},
        {.kind = ARG_END},
    };
    const struct args args = {
        .summary = "Checks that a trusted key signed the bundle, and that every byte is what was signed.",
        .details = "Commands that run a model check the same, on the device that will use the weights.",
        .example = "    moxie verify smollm2.moxie",
        .table = table,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    interrupt_install();
    struct engine engine;
    status = engine_open_bundle(&engine, path, pub);
    if (status == STATUS_OK) {
        status = verify(&engine, path, json);
    }
    engine_close(&engine);
    return status;
}
