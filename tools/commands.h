/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands: one file each, cmd_NAME.c. Each returns an exit status (tools/report.h). */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

int cmd_keygen(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_logits(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_selftest(int argc, char **argv);
int cmd_conform(int argc, char **argv);
int cmd_devices(int argc, char **argv);

#endif
