/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // sysconf
#include "pack/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 64

struct job {
    size_t n;
    bool (*work)(void *, size_t);
    void *context;
    atomic_size_t next;
    atomic_bool failed;
};

static void *run(void *argument) {
    struct job *job = argument;
    for (;;) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->n || atomic_load(&job->failed)) {
            return NULL;
        }
        if (!job->work(job->context, i)) {
            atomic_store(&job->failed, true);
        }
    }
}

bool pk_parallel(size_t n, unsigned threads, bool (*work)(void *context, size_t i), void *context) {
    struct job job = {.n = n, .work = work, .context = context};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = threads ? threads : cpus > 0 ? (size_t)cpus : 1;
    wanted = wanted < n ? wanted : n;
    wanted = wanted < THREADS_MAX ? wanted : THREADS_MAX;
    pthread_t thread[THREADS_MAX];
    size_t started = 0; // besides this one; a thread that cannot be had is done without
    while (started + 1 < wanted && pthread_create(&thread[started], NULL, run, &job) == 0) {
        started++;
    }
    run(&job);
    for (size_t i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
    return !atomic_load(&job.failed);
}
