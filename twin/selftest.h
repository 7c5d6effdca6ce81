/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel of a device, in the form in which the library would use it there, and in the one that takes its place
 * when that is wrong, against its scalar twin: bit for bit, through the library's own build and launch. What the
 * library checks at init are digests of a few small cases; here are more cases, and the first difference is told. */
#ifndef TWIN_SELFTEST_H
#define TWIN_SELFTEST_H

#include "opencl/known_cases.h"
#include "opencl/program.h"
#include "runtime/moxie.h"
#include "twin/kernels.h"

/* A case that the device computed wrongly, or could not. Memory that lives during the call of the visitor. */
struct twin_case_failure {
    char shape[200];             /* the case in words: "K 600, rows_out 40, …" */
    struct twin_parameter where; /* the argument that differs first, and its number; name "" outside of all of them */
    uint32_t argument;
    uint32_t element, elements; /* which of how many */
    uint32_t bits;              /* of an element: 8, 16 or 32 */
    uint32_t expected, found;   /* patterns */
    uint32_t wrong;             /* elements of that argument that differ */

    /* to run it again: see twin/reproducer.h */
    const struct mx_case *c;
    const char *entry; /* the OpenCL kernel that is launched: this one, or mx_sequence with a list of it */
    struct mx_case_arg set[MX_MAX_ARGS]; /* what that is given */
    uint32_t n_set;
    size_t image_bytes;             /* of before: the case's, and the list */
    const uint8_t *before, *wanted; /* the image as it was, and as it should have become */
    size_t global[3], local[3];
    uint32_t dims;
};

/* What came of one kernel in one form. */
struct twin_verdict {
    struct twin_kernel of;
    struct mx_program_key program; /* that it is in: its own, or a list */
    char form[64];                 /* "AVX-512 VNNI", "portable", "portable, halves by integers"; vectors or lanes */
    enum moxie_error error;        /* OK; KNOWN_ANSWER: wrong bits; COMPILE; else a failed call */
    uint32_t cases;                /* that were compared */
    const struct moxie_failure *failure;        /* unless OK */
    const char *build_log;                      /* with COMPILE; "" when the driver gave none */
    const struct twin_case_failure *difference; /* with KNOWN_ANSWER */
    const struct mx_program_text *text;         /* what the program is built from; NULL when that failed */
};

struct twin_selftest {
    uint32_t device;
    const struct moxie_tunables *tunables;   /* as for moxie_device_tunables; may be NULL */
    bool alone;                              /* not in lists (opencl/sequence.h), which processors run */
    const char *kernels;                     /* names between commas: no others; NULL: all */
    bool small;                              /* a selection: one kind of each integer format, few cases */
    const struct moxie_callbacks *callbacks; /* the kernel cache and progress; the log is not used. May be NULL */
    void (*each)(void *user, const struct twin_verdict *verdict);
    bool backwards;                             /* begins with the last program */
    bool (*take)(void *user, uint32_t program); /* false: leaves this one, of those counted from 0, out. May be NULL */
    void *user;
};

/* Runs all of it. A wrong kernel is no failure of this call. Errors: NO_DEVICE, DEVICE_UNFIT, DEVICE_MEMORY,
 * DEVICE_LOST; ARGUMENT for more programs than there is room for; CANCELLED when the progress callback says so
 * ("selftest", programs done, and in all). */
enum moxie_error twin_selftest(const struct twin_selftest *t, struct moxie_device_facts *facts,
                               struct moxie_failure *failure);

#endif
