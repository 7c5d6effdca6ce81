/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE // mincore
#include "tools/memory_use.h"

#include <stdio.h>
#include <string.h>
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

/* What the line of `path` that begins so says, in bytes; 0: there is none. */
static uint64_t told(const char *path, const char *name) {
    unsigned long long kib = 0;
    char line[256];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f) &&
           (strncmp(line, name, strlen(name)) != 0 || sscanf(line + strlen(name), ": %llu kB", &kib) != 1)) {
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024;
}

uint64_t memory_anonymous(void) {
    return told("/proc/self/status", "RssAnon");
}

uint64_t memory_large_pages(void) {
    const char *all = "/proc/self/smaps_rollup";
    return told(all, "FilePmdMapped") + told(all, "ShmemPmdMapped");
}
