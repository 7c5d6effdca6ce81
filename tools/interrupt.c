/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // sigaction, pthread_kill
#include "tools/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "runtime/moxie.h"

static _Atomic(struct moxie *) engine_to_cancel;
static volatile sig_atomic_t pressed;
static pthread_t reader; /* the thread that reads the terminal */

static void on_interrupt(int number) {
    if (!pthread_equal(pthread_self(), reader)) { // a driver's thread: its own work is not what has to end
        pthread_kill(reader, number);
        return;
    }
    if (pressed) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    pressed = 1;
    struct moxie *engine = engine_to_cancel;
    if (engine) {
        moxie_cancel(engine);
    }
}

void interrupt_install(void) {
    reader = pthread_self();
    struct sigaction action = {.sa_handler = on_interrupt}; // no SA_RESTART: reading a line has to end too
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void interrupt_engine(struct moxie *engine) {
    engine_to_cancel = engine;
}

bool interrupt_pending(void) {
    return pressed != 0;
}

bool interrupt_take(void) {
    bool was = pressed != 0;
    pressed = 0;
    return was;
}
