/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // MAP_ANONYMOUS, sched_getaffinity
#include "tools/helpers.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FREE, TAKEN, DONE };

struct helpers_row {
    atomic_uchar state[HELPERS_UNITS];
};

static void be_helper(struct helpers *h, void (*work)(void *user), void *user) {
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; nowhere >= 0 && fd < 3; fd++) {
        dup2(nowhere, fd);
    }
    h->helper = true;
    work(user);
    _exit(0); // nothing of the parent's is flushed or removed
}

/* One for each processor that this process may use, as far as a quarter of the memory has room for compilers. */
static long usual_jobs(void) {
    cpu_set_t set;
    const long room = sysconf(_SC_PHYS_PAGES) / 4 / (HELPER_BYTES / sysconf(_SC_PAGESIZE));
    const long processors =
        sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    return processors < room ? processors : room;
}

void helpers_start(struct helpers *h, uint32_t jobs, void (*work)(void *user), void *user) {
    const long wanted = jobs ? (long)jobs : usual_jobs();
    void *row = mmap(NULL, sizeof(struct helpers_row), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *h = (struct helpers){.row = row == MAP_FAILED ? NULL : row, .hand = -1, .parent = getpid()};
    for (uint32_t i = 0; h->row && i < HELPERS_MAX && i + 1 < wanted; i++) {
        h->child[i] = fork();
        if (h->child[i] == 0) {
            be_helper(h, work, user);
        }
    }
}

/* Does any helper still run? One that a driver took down leaves its unit in hand. */
static bool any_runs(struct helpers *h) {
    bool runs = false;
    for (uint32_t i = 0; i < HELPERS_MAX; i++) {
        if (h->child[i] > 0 && waitpid(h->child[i], NULL, WNOHANG) != 0) {
            h->child[i] = 0;
        }
        runs = runs || h->child[i] > 0;
    }
    return runs;
}

bool helpers_take(struct helpers *h, uint32_t unit) {
    unsigned char found = FREE;
    if (!h->row || unit >= HELPERS_UNITS) {
        return !h->helper;
    }
    if (h->helper && getppid() != h->parent) {
        _exit(0); // nobody needs it any more
    }
    if (h->hand >= 0) {
        atomic_store(&h->row->state[h->hand], DONE);
    }
    const bool mine = atomic_compare_exchange_strong(&h->row->state[unit], &found, TAKEN);
    h->hand = mine ? (int32_t)unit : -1;
    while (!mine && !h->helper && atomic_load(&h->row->state[unit]) == TAKEN && any_runs(h)) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return mine || !h->helper;
}

void helpers_end(struct helpers *h) {
    for (uint32_t i = 0; i < HELPERS_MAX; i++) {
        if (h->child[i] > 0) {
            kill(h->child[i], SIGTERM);
            waitpid(h->child[i], NULL, 0);
        }
    }
    if (h->row) {
        munmap(h->row, sizeof(*h->row));
    }
    *h = (struct helpers){.hand = -1};
}
