/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE // madvise
#include "tools/bandwidth.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/progress.h"

#define BUFFER ((size_t)1 << 30)
#define THREADS_MAX 256
#define STREAMS 4 /* a core prefetches several streams better than one */
#define UNROLL 4

typedef uint64_t vector __attribute__((vector_size(64)));

struct reader {
    pthread_t thread;
    const uint8_t *data;
    size_t bytes;          /* a multiple of STREAMS * UNROLL vectors */
    volatile uint64_t sum; /* so that no compiler drops the reading */
};

#if defined(__x86_64__)
__attribute__((target_clones("default", "avx2", "avx512f")))
#endif
static uint64_t
sum_of(const uint8_t *data, size_t bytes) {
    vector sum[STREAMS][UNROLL];
    memset(sum, 0, sizeof(sum));
    size_t stream = bytes / STREAMS / sizeof(vector);
    const vector *v = (const vector *)data;
    for (size_t i = 0; i < stream; i += UNROLL) {
        for (size_t s = 0; s < STREAMS; s++) {
            for (size_t u = 0; u < UNROLL; u++) {
                sum[s][u] += v[s * stream + i + u];
            }
        }
    }
    uint64_t total = 0;
    for (size_t s = 0; s < STREAMS; s++) {
        for (size_t u = 0; u < UNROLL; u++) {
            for (size_t k = 0; k < 8; k++) {
                total += sum[s][u][k];
            }
        }
    }
    return total;
}

static void *read_share(void *user) {
    struct reader *r = user;
    r->sum = sum_of(r->data, r->bytes);
    return NULL;
}

/* Seconds that all readers take side by side; 0: they could not all be started. */
static double read_once(struct reader *readers, unsigned threads) {
    double began = seconds_now();
    unsigned started = 0;
    while (started < threads && pthread_create(&readers[started].thread, NULL, read_share, &readers[started]) == 0) {
        started++;
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    return started == threads ? seconds_now() - began : 0;
}

double bandwidth_read(unsigned threads, unsigned passes) {
    struct reader readers[THREADS_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads ? threads : cpus > 0 ? (unsigned)cpus : 1;
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    uint8_t *data = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return 0;
    }
    madvise(data, BUFFER, MADV_HUGEPAGE);
    memset(data, 1, BUFFER); // pages that were never written are all the same one
    size_t unit = STREAMS * UNROLL * sizeof(vector), share = BUFFER / threads / unit * unit;
    for (unsigned i = 0; i < threads; i++) {
        readers[i] = (struct reader){.data = data + i * share, .bytes = share};
    }
    double best = 0;
    for (unsigned i = 0; i < passes; i++) {
        double seconds = read_once(readers, threads);
        best = seconds > 0 && (best == 0 || seconds < best) ? seconds : best;
    }
    munmap(data, BUFFER);
    return best > 0 ? (double)share * threads / best : 0;
}
