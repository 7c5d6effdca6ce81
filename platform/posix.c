/* SPDX-License-Identifier: Apache-2.0
 *
 * platform.h for POSIX systems. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platform/fail.h"

/* strerror may allocate and depends on the locale; these are the errors that a user can do something about */
static const char *reason(int error) {
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOTDIR:
        return "a part of the path is not a folder";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case ENAMETOOLONG:
        return "name too long";
    case ELOOP:
        return "too many symbolic links";
    case EIO:
        return "input/output error";
    case ENOMEM:
        return "out of memory or address space";
    default:
        return "system error";
    }
}

/* Opens a regular file; returns its descriptor, or −1 with `f` filled. */
static int open_regular(const char *path, uint64_t *size, struct moxie_failure *f) {
    if (!path) {
        mx_fail(f, MOXIE_ERROR_FILE, MX_NO_OFFSET, "no file name given");
        return -1;
    }
    /* without O_NONBLOCK, opening a FIFO would wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int error = errno;
        mx_fail(f, MOXIE_ERROR_FILE, MX_NO_OFFSET, "%s: cannot open: %s (errno %d)", path, reason(error), error);
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        int error = errno;
        mx_fail(f, MOXIE_ERROR_FILE, MX_NO_OFFSET, "%s: cannot stat: %s (errno %d)", path, reason(error), error);
    } else if (!S_ISREG(st.st_mode) || st.st_size < 0) {
        mx_fail(f, MOXIE_ERROR_FILE, MX_NO_OFFSET, "%s: %s", path,
                S_ISDIR(st.st_mode) ? "is a folder, not a file" : "is not a regular file");
    } else {
        *size = (uint64_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

/* Weights are read at the speed of memory only if few addresses have to be looked up. A wish: systems may not know it.
 */
static void want_large_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    int error = errno;
    if (bytes)
        madvise(memory, bytes, MADV_HUGEPAGE);
    errno = error;
#else
    (void)memory;
    (void)bytes;
#endif
}

enum moxie_error mx_map_file(const char *path, struct mx_mapping *m, struct moxie_failure *f) {
    *m = (struct mx_mapping){0};
    uint64_t size = 0;
    int fd = open_regular(path, &size, f);
    if (fd < 0) {
        return MOXIE_ERROR_FILE;
    }
    if (size > SIZE_MAX) {
        close(fd);
        return mx_fail(f, MOXIE_ERROR_MAP, MX_NO_OFFSET, "%s: %llu bytes do not fit this machine's address space", path,
                       (unsigned long long)size);
    }
    /* nothing to map in an empty file, and mmap refuses length 0 */
    static _Alignas(4096) const uint8_t nothing[1];
    void *data = size ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : (void *)nothing;
    int error = errno;
    close(fd);
    if (data == MAP_FAILED) {
        return mx_fail(f, MOXIE_ERROR_MAP, MX_NO_OFFSET, "%s: cannot map %llu bytes: %s (errno %d)", path,
                       (unsigned long long)size, reason(error), error);
    }
    want_large_pages(data, (size_t)size);
    *m = (struct mx_mapping){.data = data, .size = size};
    return MOXIE_OK;
}

void mx_unmap_file(struct mx_mapping *m) {
    if (m->data && m->size) {
        munmap((void *)m->data, (size_t)m->size);
    }
    *m = (struct mx_mapping){0};
}

enum moxie_error mx_region_map(uint64_t bytes, void **region, struct moxie_failure *f) {
    *region = NULL;
    if (bytes == 0) {
        return mx_fail(f, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "a memory region of zero bytes was asked for");
    }
    void *memory = MAP_FAILED;
    int error = ENOMEM;
    if (bytes <= SIZE_MAX) {
        memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        error = errno;
    }
    if (memory == MAP_FAILED) {
        return mx_fail(f, MOXIE_ERROR_MAP, MX_NO_OFFSET, "cannot map %llu bytes of memory: %s (errno %d)",
                       (unsigned long long)bytes, reason(error), error);
    }
    want_large_pages(memory, (size_t)bytes);
    *region = memory;
    return MOXIE_OK;
}

void mx_region_unmap(void *region, uint64_t bytes) {
    if (region) {
        munmap(region, (size_t)bytes);
    }
}

void mx_pause(void) {
    /* sleeping, not spinning: a waiting thread of higher priority must not starve the one that holds the lock */
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}
