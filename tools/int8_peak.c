/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE // _SC_NPROCESSORS_ONLN
#include "tools/int8_peak.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "tools/progress.h"

#define THREADS_MAX 256
#define ROUNDS 2000000u

/* Twelve sums side by side: more than an instruction takes cycles times those that start in one. */
#if defined(__x86_64__)
#define TWELVE(one) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11) one(12) one(13) one(14) one(15)
#define VNNI(r) "vpdpbusd %%zmm1, %%zmm0, %%zmm" #r "\n\t"
#define AVX2(r)                                                                                                        \
    "vpmaddubsw %%ymm1, %%ymm0, %%ymm2\n\tvpmaddwd %%ymm1, %%ymm2, %%ymm2\n\tvpaddd %%ymm2, %%ymm" #r ", %%ymm" #r     \
    "\n\t"
#define LOOP(name, instruction, registers)                                                                             \
    static void *name(void *unused) {                                                                                  \
        for (unsigned i = 0; i < ROUNDS; i++) {                                                                        \
            __asm__ volatile(TWELVE(instruction)::                                                                     \
                                 : registers "0", registers "1", registers "2", registers "4", registers "5",          \
                                   registers "6", registers "7", registers "8", registers "9", registers "10",         \
                                   registers "11", registers "12", registers "13", registers "14", registers "15");    \
        }                                                                                                              \
        return unused;                                                                                                 \
    }
LOOP(vnni, VNNI, "xmm")
LOOP(avx2, AVX2, "xmm")
#endif

/* The loop for this processor, and the operations of one instruction of it. */
static void *(*best_loop(double *operations))(void *) {
    *operations = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni")) {
        *operations = 128;
        return vnni;
    }
    if (__builtin_cpu_supports("avx2")) {
        *operations = 64;
        return avx2;
    }
#endif
    return NULL;
}

double int8_peak(unsigned threads, unsigned passes) {
    pthread_t thread[THREADS_MAX];
    double operations, best = 0;
    void *(*loop)(void *) = best_loop(&operations);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads ? threads : cpus > 0 ? (unsigned)cpus : 1;
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    for (unsigned pass = 0; loop && pass < passes; pass++) {
        double began = seconds_now();
        unsigned started = 0;
        while (started < threads && pthread_create(&thread[started], NULL, loop, NULL) == 0) {
            started++;
        }
        for (unsigned i = 0; i < started; i++) {
            pthread_join(thread[i], NULL);
        }
        double rate = 12.0 * ROUNDS * started * operations / (seconds_now() - began);
        best = rate > best ? rate : best;
    }
    return best;
}
