/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie conform: does a device give the bits that every device gives? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/conform.h"
#include "tools/helpers.h"
#include "tools/interrupt.h"
#include "tools/paths.h"
#include "tools/report.h"
#include "tools/vectors.h"

static int write_report(const json_t *report, struct out_file *f) {
    if (json_dumpf(report, f->file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0 || fputc('\n', f->file) == EOF) {
        const int status = report_tool("%s: %s", f->path, strerror(errno));
        out_file_discard(f);
        return status;
    }
    return out_file_commit(f) ? STATUS_OK : report_tool("%s: %s", f->path, strerror(errno));
}

/* What can be seen to be wrong before minutes are spent is. */
static int run(const struct conform_options *o, const char *path) {
    struct out_file f = {.file = NULL};
    int status = conform_look_at_bundles(o);
    if (status != STATUS_OK) {
        return status;
    }
    if (path && !out_file_open(&f, path)) {
        return report_tool("%s: %s", path, strerror(errno));
    }
    json_t *report = conform_run(o, &status);
    if (!report) {
        out_file_discard(&f);
        return status;
    }
    const int written = path ? write_report(report, &f) : STATUS_OK;
    const bool conforms = strcmp(json_string_value(json_object_get(report, "result")), "conforms") == 0;
    conform_markdown(report); // where there is no file now, it is all that is left
    const int printed = finish_output(conforms ? status : status_of(MOXIE_ERROR_KNOWN_ANSWER));
    json_decref(report);
    return written != STATUS_OK ? written : printed;
}

/* The models and their tokens as files, for another implementation. */
static int export_models(const char *folder) {
    for (const struct vector_model *m = vector_models; m->name; m++) {
        char path[PATH_BYTES], name[128], sha256[65];
        struct engine engine;
        struct out_file f;
        snprintf(name, sizeof(name), "%s.moxie", m->name);
        if (!path_make_folder(folder) || !path_join(path, folder, name)) {
            return report_tool("%s: %s", folder, strerror(errno));
        }
        int status = vector_open(&engine, m, path, sha256);
        engine_close(&engine);
        if (status != STATUS_OK) {
            return status;
        }
        snprintf(name, sizeof(name), "%s.tokens", m->name);
        if (!path_join(path, folder, name) || !out_file_open(&f, path)) {
            return report_tool("%s/%s: %s", folder, name, strerror(errno));
        }
        for (uint32_t i = 0; i < VECTOR_TOKENS; i++) {
            fprintf(f.file, "%d\n", vector_token(m->shape->vocab, 0, i));
        }
        if (!out_file_commit(&f)) {
            return report_tool("%s: %s", path, strerror(errno));
        }
    }
    return STATUS_OK;
}

static int compare(const struct arg_places *places) {
    int status = STATUS_OK;
    if (places->count != 2) {
        return usage_error("--compare takes two reports");
    }
    json_t *a = conform_read(places->text[0], &status), *b = a ? conform_read(places->text[1], &status) : NULL;
    if (b) {
        const bool same = conform_compare(places->text[0], a, places->text[1], b);
        status = finish_output(same ? STATUS_OK : status_of(MOXIE_ERROR_KNOWN_ANSWER));
    }
    json_decref(a);
    json_decref(b);
    return status;
}

static int markdown(const struct arg_places *places) {
    int status = STATUS_OK;
    if (places->count != 1) {
        return usage_error("--markdown takes one report");
    }
    json_t *report = conform_read(places->text[0], &status);
    if (report) {
        conform_markdown(report);
        status = finish_output(STATUS_OK);
    }
    json_decref(report);
    return status;
}

int cmd_conform(int argc, char **argv) {
    struct arg_places places = {.count = 0};
    struct conform_options o = {.bundles = &places};
    const char *path = NULL, *folder = NULL;
    bool two = false, one = false;
    const struct arg table[] = {
        {"BUNDLE", .kind = ARG_PLACES, .out = &places,
         .help = "bundles whose logits are to stand in the report; or the reports to read"},
        {"--report", .kind = ARG_TEXT, .out = &path, .value = "R.json", .help = "write the report there"},
        {"--small", .kind = ARG_FLAG, .out = &o.small, .help = "a selection, for slow drivers; another fingerprint"},
        {"--model", .kind = ARG_TEXT, .out = &o.model, .value = "NAME",
         .help = "only this tiny model, and no kernels by themselves; another fingerprint"},
        HELPERS_OPTION(&o.jobs),
        {"--compare", .kind = ARG_FLAG, .out = &two, .help = "tell where the devices of two reports part"},
        {"--markdown", .kind = ARG_FLAG, .out = &one, .help = "print a report as Markdown"},
        {"--reproduce", .kind = ARG_TEXT, .out = &o.reproduce, .value = "FOLDER",
         .help = "write the first wrong case there, with a program that shows it"},
        {"--export", .kind = ARG_TEXT, .out = &folder, .value = "FOLDER",
         .help = "write the tiny models and their tokens there instead"},
        {.kind = ARG_END},
    };
    struct engine_args shared = engine_args(&o.engine);
    const struct args args = {
        .summary = "Runs everything that shows whether a device gives the bits that every device gives.",
        .details = "The report has the driver's environment, each kernel against its scalar twin, and the SHA-256 of\n"
                   "the logits of tiny models of every architecture and weight format, fed in every way, beside\n"
                   "what the reference has; all of them make one fingerprint. Exit status 0: it conforms.",
        .example = "    moxie conform --device 1 --report gpu.json\n"
                   "    moxie conform --compare cpu.json gpu.json",
        .table = table,
        .shared = shared.row,
    };
    int status;
    if (!args_parse(&args, argc, argv, &status)) {
        return status;
    }
    status = tune_parse(&o.engine.tune);
    if (status != STATUS_OK) {
        return status;
    }
    if (two + one + (folder != NULL) > 1) {
        return usage_error("--compare, --markdown and --export exclude each other");
    }
    if ((two || one || folder) && (path || o.reproduce || o.model || o.small)) {
        return usage_error("--report, --reproduce, --model and --small are for a run of the kernels and models");
    }
    if (o.engine.context) {
        return usage_error("--context: the prompts of the runs are fixed");
    }
    if (o.engine.pub && !places.count) {
        return usage_error("--pub is for bundles");
    }
    if (folder && places.count) {
        return usage_error("--export takes no bundles");
    }
    if (two || one) {
        return two ? compare(&places) : markdown(&places);
    }
    const struct vector_model *m = vector_models;
    while (o.model && m->name && !vector_chosen(m, o.small, o.model)) {
        m++;
    }
    if (!m->name) {
        return usage_error("--model: no tiny model is called %s; --export writes them all", o.model);
    }
    interrupt_install();
    return folder ? export_models(folder) : run(&o, path);
}
