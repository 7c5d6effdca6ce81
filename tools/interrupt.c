/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // sigaction, pthread_kill, ppoll
#include "tools/interrupt.h"

#include <errno.h>
#include <poll.h>
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

bool interrupt_wait_input(int fd) {
    struct pollfd input = {.fd = fd, .events = POLLIN};
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    // Here Ctrl-C waits until ppoll lets it in, so none is lost between the question and the sleep.
    int ready = 0;
    while (!pressed && ready <= 0) {
        ready = ppoll(&input, 1, NULL, &before);
        if (ready < 0 && errno != EINTR) {
            break; // reading will say what is wrong
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !pressed;
}

bool interrupt_pending(void) {
    return pressed != 0;
}

bool interrupt_take(void) {
    bool was = pressed != 0;
    pressed = 0;
    return was;
}
