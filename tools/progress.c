/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // clock_gettime, isatty
#include "tools/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOW_AFTER 1.0 // seconds; shorter work needs no bar
#define SHOW_EVERY 0.1
#define BAR 30

double seconds_of_start;

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_end(struct progress *p) {
    if (p->visible) {
        fputs("\r\033[K", stderr);
    }
    *p = (struct progress){.bytes = p->bytes};
}

void progress_update(struct progress *p, const char *what, uint64_t done, uint64_t total) {
    double now = seconds_now();
    if (!p->what || strcmp(p->what, what) != 0) {
        progress_end(p);
        p->what = what;
        p->began = now;
    }
    if (now - p->began < SHOW_AFTER || now - p->shown < SHOW_EVERY || !total || !isatty(STDERR_FILENO)) {
        return;
    }
    double share = done < total ? (double)done / (double)total : 1, seconds = now - p->began;
    int full = (int)(share * BAR), left = share > 0 ? (int)(seconds / share - seconds + 0.5) : 0;
    fprintf(stderr, "\r\033[K%s [%.*s%*s] %3d %%", what, full, "##############################", BAR - full, "",
            (int)(share * 100));
    if (p->bytes) {
        fprintf(stderr, ", %.0f MB/s", (double)done / seconds / 1e6);
    }
    if (share > 0) {
        fprintf(stderr, ", %d:%02d left", left / 60, left % 60);
    }
    fflush(stderr);
    p->shown = now;
    p->visible = true;
}
