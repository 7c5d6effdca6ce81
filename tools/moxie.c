/* SPDX-License-Identifier: Apache-2.0
 *
 * moxie COMMAND [ARGUMENTS]: finds the command and runs it. */
#define _POSIX_C_SOURCE 200809L // setenv
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/moxie.h"
#include "tools/commands.h"
#include "tools/progress.h"
#include "tools/report.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"keygen", "make a signing key in the key store", cmd_keygen},
    {"pack", "pack and sign a Hugging Face folder or a GGUF file", cmd_pack},
    {"inspect", "show a bundle's configuration and tensors", cmd_inspect},
    {"verify", "check a bundle's signature and every byte", cmd_verify},
    {"plan", "show the memory and the launches of a run before it starts, here or on a board", cmd_plan},
    {"run", "continue a text", cmd_run},
    {"chat", "talk with a model", cmd_chat},
    {"logits", "write the logits at every position of a list of tokens", cmd_logits},
    {"bench", "measure tokens per second beside the machine's read bandwidth", cmd_bench},
    {"selftest", "compare every kernel of a device with its scalar twin", cmd_selftest},
    {"conform", "run all that shows whether a device gives the right bits, and report it", cmd_conform},
    {"devices", "list the OpenCL devices and whether they can be used", cmd_devices},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(void) {
    printf("usage: moxie COMMAND [ARGUMENTS]\n"
           "Language models from signed bundles, on any OpenCL device, in memory fixed before they start.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    printf("\nmoxie COMMAND --help tells a command's options, with an example.\n\n"
           "Example:\n"
           "    moxie keygen\n"
           "    moxie pack SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2.moxie\n"
           "    moxie chat smollm2.moxie\n\n"
           "Exit status: 0 done; 1 output or memory of the tool itself; 2 command line; 130 Ctrl-C;\n"
           "else tens for the kind of error, units for the error in it (moxie help status lists them):\n"
           "  1x the call   2x the bundle or checkpoint   3x trust   4x memory   5x the device   6x the run\n");
    return finish_output(STATUS_OK);
}

/* Every error that has a name, with its exit status. */
static int print_statuses(void) {
    const char *unknown = moxie_error_name((enum moxie_error)1);
    for (int code = MOXIE_ERROR_ARGUMENT; code <= MOXIE_ERROR_CANCELLED; code++) {
        const char *name = moxie_error_name((enum moxie_error)code);
        if (strcmp(name, unknown) != 0) {
            printf("%-3d %s\n", status_of(code), name);
        }
    }
    return finish_output(STATUS_OK);
}

int main(int argc, char **argv) {
    seconds_of_start = seconds_now();
    setlocale(LC_CTYPE, "C.UTF-8"); // numbers stay in the C locale
    signal(SIGXFSZ, SIG_IGN);       // a write beyond the limit of a file's size is an error, and its file is removed
    // PoCL compiles a kernel for its local size when it is launched, and for any when its binary is asked for: only the
    // second, which is as fast
    setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
    if (argc < 2) {
        return usage_error("which command?");
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc > 2 && strcmp(argv[2], "status") == 0) {
        return print_statuses();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        return print_help();
    }
    if (strcmp(name, "--version") == 0) {
        uint32_t v = moxie_version();
        printf("moxie %u.%u.%u\n", v >> 16, v >> 8 & 255, v & 255);
        return finish_output(STATUS_OK);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            report_command = commands[i].name;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return usage_error("there is no command '%s'", name);
}
