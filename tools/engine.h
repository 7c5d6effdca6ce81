/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle and the engine on it, as the commands that run a model need them. */
#ifndef TOOL_ENGINE_H
#define TOOL_ENGINE_H

#include <stdbool.h>

#include "runtime/moxie.h"
#include "tools/args.h"
#include "tools/kernel_cache.h"
#include "tools/progress.h"
#include "tools/trust.h"
#include "tools/tune.h"

/* Options that these commands share. Zero = default. */
struct engine_options {
    const char *bundle; /* a row of the command itself */
    const char *pub;
    uint32_t device, context, threads;
    struct tune tune;
    bool verbose;
};

/* The rows of these options, for struct args.shared. `o` has to stay where it is. */
struct engine_args {
    struct arg row[8];
};
struct engine_args engine_args(struct engine_options *o);

struct engine {
    struct trust trust;
    struct moxie_bundle bundle;
    struct moxie_model model;
    struct moxie *moxie;
    struct moxie_plan plan;
    struct moxie_device_facts facts;
    struct kernel_cache cache;
    struct tune tune;
    struct progress progress;
    void (*launch)(void *user, const struct moxie_launch *launch); // set it before engine_start to measure steps
    void *launch_user;
    bool opened, verbose;
    char log[16384];              /* the library's diagnostics, shown when init fails */
    struct moxie_failure failure; /* of init */
};

/* Opens the bundle only. An exit status, reported; to be closed in any case. */
int engine_open_bundle(struct engine *e, const char *path, const char *pub);

/* The same, trusting one key only. */
int engine_open_signed(struct engine *e, const char *path, const uint8_t xy[64]);

/* The engine on it: `config` carries what the command itself decides, the options are added to it. Ctrl-C then cancels
 * this engine. */
int engine_start(struct engine *e, const struct engine_options *o, struct moxie_config *config);

/* Both. */
int engine_open(struct engine *e, const struct engine_options *o, struct moxie_config *config);

void engine_close(struct engine *e);

/* Tells a CPU driver how many threads to use; 0: nothing. Before the first call of OpenCL. */
void engine_threads(uint32_t threads);

#endif
