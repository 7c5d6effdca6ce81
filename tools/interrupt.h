/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C: stops what an engine is doing instead of the program. A second one that nobody has taken yet ends the program
 * as usual, so that a driver that hangs can be left. */
#ifndef TOOL_INTERRUPT_H
#define TOOL_INTERRUPT_H

#include <stdbool.h>

struct moxie;

void interrupt_install(void);

/* The engine that Ctrl-C cancels; NULL: none. */
void interrupt_engine(struct moxie *engine);

/* Waits until `fd` can be read. False: Ctrl-C came first, even in the moment before the call. */
bool interrupt_wait_input(int fd);

/* Was Ctrl-C pressed since the last interrupt_take? The second form forgets it. */
bool interrupt_pending(void);
bool interrupt_take(void);

#endif
