/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE // mincore
#include "tools/memory_use.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t memory_resident(const void *at, uint64_t bytes) {
    unsigned char in_memory[4096];
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page;
    uint64_t found = 0;
    for (uint64_t first = 0; first < pages; first += sizeof(in_memory)) {
        const uint64_t n = pages - first < sizeof(in_memory) ? pages - first : sizeof(in_memory);
        if (mincore((char *)(uintptr_t)at + first * page, (size_t)(n * page), in_memory) != 0) {
            return 0;
        }
        for (uint64_t i = 0; i < n; i++) {
            found += in_memory[i] & 1;
        }
    }
    return found * page;
}

uint64_t memory_anonymous(void) {
    unsigned long long kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "RssAnon: %llu kB", &kib) != 1) {
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024;
}
