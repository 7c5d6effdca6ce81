/* SPDX-License-Identifier: Apache-2.0
 *
 * One OpenCL device in use: context, queue, memory, and the list of everything created, so that closing releases
 * exactly that. Nothing here allocates: lists and scratch are the caller's memory.
 *
 * Errors of this layer: DEVICE_MEMORY when the driver says that memory is short, DEVICE_LOST when a queued command
 * failed because the device or its context is gone (only mx_cl_close may follow), else OPENCL; the raw cl_int and the
 * name of the call are in the failure. One thread at a time for each struct mx_cl. */
#ifndef MX_CL_HOST_H
#define MX_CL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CL/cl.h>

#include "opencl/moxie_device.h"
#include "platform/fail.h"

#define MX_MAX_PROGRAMS 64u
#define MX_CL_OWN_OBJECTS 128u /* what this layer creates beside the caller's buffers and launches, at most */

#define MX_CL_SCRATCH_MIN (512u << 10)

enum mx_object_kind {
    MX_OBJECT_CONTEXT = 1,
    MX_OBJECT_QUEUE,
    MX_OBJECT_MEMORY,
    MX_OBJECT_PROGRAM,
    MX_OBJECT_KERNEL,
};

struct mx_object {
    uint32_t kind; /* enum mx_object_kind */
    void *object;
};

/* What the layers above keep; NULL where they do not. Called from inside the functions of this layer. */
struct mx_callbacks {
    void *user;
    size_t (*cache_load)(void *user, const uint8_t key[32], void *bytes, size_t max);
    void (*cache_store)(void *user, const uint8_t key[32], const void *bytes, size_t count);
    int (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
    void (*log)(void *user, const char *text);
    bool profile; /* the queue keeps times */
    /* Makes the keys of the cache; without it there is no cache. Not given `user`. */
    void (*sha256)(const void *data, size_t n, uint8_t digest[32]);
};

/* Selects what a program is built from and with; equal keys share one program. Zero where it does not matter. */
struct mx_program_key {
    const char *kernel_file; /* name in opencl/kernels without ".cl"; static memory */
    uint32_t format, group, kv;
};

struct mx_program {
    struct mx_program_key key;
    cl_program program;
    bool half_by_integer;        /* the device's own conversion of halves is wrong */
    uint32_t dot;                /* variant in force, 0 portable */
    uint32_t first_dot;          /* the one that was tried first */
    int32_t why;                 /* enum moxie_error: why another one is in force, MOXIE_OK when none is */
    const char *why_kernel;      /* that was wrong; NULL: it did not compile. Static memory */
    bool from_cache;             /* built from a stored binary: nothing new to store */
    const char *checked[16];     /* kernels of it that have given the known answer; static memory */
    uint32_t checked_format[16]; /* of their keys */
    uint32_t n_checked;
};

struct mx_cl {
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    struct moxie_device_facts facts;
    struct moxie_tunables tunables; /* in force */
    const struct mx_callbacks *callbacks;
    struct mx_object *objects; /* (max_objects) in the order of creation */
    uint32_t n_objects, max_objects;
    uint8_t *scratch; /* binaries, build logs and known answers; free for the caller between calls */
    size_t scratch_bytes;
    cl_mem check_memory; /* of mx_known_answers; NULL: kernels are not checked */
    struct mx_program program[MX_MAX_PROGRAMS];
    uint32_t n_programs;
    uint32_t distrusted; /* how often a wrong kernel had a program built in a simpler form */
};

/* Opens device `index`. `objects` (max_objects), `scratch` and `callbacks` stay alive until mx_cl_close; at least
 * MX_CL_OWN_OBJECTS and MX_CL_SCRATCH_MIN bytes. `asked`: as for moxie_device_tunables.
 * Errors: NO_DEVICE (says what to install), DEVICE_UNFIT, ARGUMENT; on failure nothing is left open. */
enum moxie_error mx_cl_open(struct mx_cl *cl, uint32_t index, struct mx_object *objects, uint32_t max_objects,
                            void *scratch, size_t scratch_bytes, const struct mx_callbacks *callbacks,
                            const struct moxie_tunables *asked, struct moxie_failure *failure);

/* Waits for the queue, then releases every object in reverse order. Does nothing to a zeroed or closed one. */
void mx_cl_close(struct mx_cl *cl);

/* Takes ownership of an object just created. When the list is full the object is released: error MEMORY. */
enum moxie_error mx_cl_own(struct mx_cl *cl, enum mx_object_kind kind, void *object, struct moxie_failure *failure);

/* Releases what was created since n_objects was `mark`. */
void mx_cl_release_to(struct mx_cl *cl, uint32_t mark);

/* Reports progress; MOXIE_ERROR_CANCELLED when the caller wants to stop. */
enum moxie_error mx_progress(struct mx_cl *cl, const char *what, uint64_t done, uint64_t total,
                             struct moxie_failure *failure);

/* ---- Memory ---- */

/* Read-only buffer over `bytes` of weights at `host`, which stays alive and unchanged. A device that shares the host's
 * memory reads them where they are; another gets a copy (blocking). */
enum moxie_error mx_cl_window(struct mx_cl *cl, const void *host, size_t bytes, cl_mem *out,
                              struct moxie_failure *failure);

/* Read-write buffer of zeros. `host` (4096-byte aligned, alive until mx_cl_close) is its memory on a device that shares
 * the host's, and unused otherwise; only mx_cl_read and mx_cl_write may touch it. */
enum moxie_error mx_cl_region(struct mx_cl *cl, void *host, size_t bytes, cl_mem *out, struct moxie_failure *failure);

/* Part of a region; `offset` is a multiple of 4096. */
enum moxie_error mx_cl_sub(struct mx_cl *cl, cl_mem region, uint64_t offset, uint64_t bytes, cl_mem *out,
                           struct moxie_failure *failure);

/* Queues a copy to the device; `from` stays alive and unchanged until mx_cl_finish or mx_cl_read. */
enum moxie_error mx_cl_write(struct mx_cl *cl, cl_mem to, uint64_t offset, const void *from, size_t bytes,
                             struct moxie_failure *failure);

/* Copies from the device after everything queued before. Blocking. */
enum moxie_error mx_cl_read(struct mx_cl *cl, cl_mem from, uint64_t offset, void *to, size_t bytes,
                            struct moxie_failure *failure);

/* Waits for everything queued. */
enum moxie_error mx_cl_finish(struct mx_cl *cl, struct moxie_failure *failure);

/* ---- For this layer ---- */

/* Words a failed call: `call` is its name, `about` (may be NULL) what it was for. The second is for calls on the queue,
 * where more codes mean that the device is gone. */
enum moxie_error mx_cl_failed(cl_int code, const char *call, const char *about, struct moxie_failure *failure);
enum moxie_error mx_cl_queue_failed(cl_int code, const char *call, const char *about, struct moxie_failure *failure);

void mx_cl_log(const struct mx_cl *cl, const char *text);

#endif
