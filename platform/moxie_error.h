/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of the whole library, as values. Part of the public interface (moxie.h includes it); it stands in platform/
 * because every layer reports through it. */
#ifndef MOXIE_ERROR_H
#define MOXIE_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Groups of one hundred: `code / 100` is the group. Numbers never change meaning. */
enum moxie_error {
    MOXIE_OK = 0,

    /* 1xx: the call itself */
    MOXIE_ERROR_ARGUMENT = 100,     /* NULL, zero or contradictory argument */
    MOXIE_ERROR_VERSION = 101,      /* struct size or interface version unknown to this library */
    MOXIE_ERROR_STATE = 102,        /* call not allowed now (e.g. step before init) */
    MOXIE_ERROR_TOKEN = 103,        /* token id outside the vocabulary */
    MOXIE_ERROR_CONTEXT_FULL = 104, /* positions or KV blocks exhausted; the sequence is unchanged */
    MOXIE_ERROR_SEQUENCE = 105,     /* sequence id unknown, or position not at the end of the sequence */
    MOXIE_ERROR_BUFFER_SMALL = 106, /* the caller's buffer is too small; the size needed is in `offset` */
    MOXIE_ERROR_TEXT = 107,         /* text that this model's tokenizer or template cannot represent */

    /* 2xx: the bundle's bytes */
    MOXIE_ERROR_FILE = 200,           /* cannot open, stat, map, create or write */
    MOXIE_ERROR_TRUNCATED = 201,      /* file shorter than its headers promise */
    MOXIE_ERROR_FORMAT = 202,         /* not a bundle, or a header or table that breaks SPEC.md */
    MOXIE_ERROR_FORMAT_VERSION = 203, /* bundle major version, arithmetic id or minimum runtime not supported */
    MOXIE_ERROR_BOUNDS = 204,         /* offset, length or shape outside its container */
    MOXIE_ERROR_MODEL = 205,          /* signed and well formed, but describes no model that can run */
    MOXIE_ERROR_TOKENIZER = 206,      /* tokenizer member inconsistent */

    /* 3xx: trust */
    MOXIE_ERROR_KEY_UNKNOWN = 300, /* signed by a key that is not pinned */
    MOXIE_ERROR_KEY_REVOKED = 301,
    MOXIE_ERROR_SIGNATURE = 302,   /* manifest and signature do not belong together */
    MOXIE_ERROR_HASH = 303,        /* bytes differ from what was signed; `offset` says where */
    MOXIE_ERROR_ROLLBACK = 304,    /* security counter below the stored one */
    MOXIE_ERROR_KEY_INVALID = 305, /* a pinned key is not a point of the curve */

    /* 4xx: memory */
    MOXIE_ERROR_MEMORY = 400,        /* a region given is too small or misaligned, or overlaps another */
    MOXIE_ERROR_DEVICE_MEMORY = 401, /* the device cannot hold the plan */
    MOXIE_ERROR_MAP = 402,           /* mmap failed */

    /* 5xx: the device */
    MOXIE_ERROR_NO_DEVICE = 500,    /* no OpenCL platform or device */
    MOXIE_ERROR_DEVICE_UNFIT = 501, /* facts of the device rule it out; `what` says which */
    MOXIE_ERROR_COMPILE = 502,      /* a kernel failed to build; the log is kept */
    MOXIE_ERROR_KNOWN_ANSWER = 503, /* a portable kernel gives wrong bits on this device */
    MOXIE_ERROR_OPENCL = 504,       /* any other failed OpenCL call; `cl` has the code */
    MOXIE_ERROR_DEVICE_LOST = 505,  /* the device stopped answering; the engine must be closed */

    /* 6xx: the run */
    MOXIE_ERROR_NOT_FINITE = 600, /* an activation, or a number to be packed, is NaN or infinite */
    MOXIE_ERROR_CANCELLED = 601,  /* step cancelled; its sequences are as before the call */
};

/* What went wrong and where. Plain data: copy it, print it, ignore it. */
struct moxie_failure {
    enum moxie_error code;
    int32_t cl;      /* raw cl_int of the failing OpenCL call, 0 otherwise */
    uint64_t offset; /* byte offset in the bundle or text, or the size needed; UINT64_MAX when there is none */
    char what[232];  /* one sentence in UTF-8, NUL-terminated, names the member, tensor, kernel or call */
};

/* Short English name of a code, e.g. "unknown key". Static memory; never NULL. Any thread. */
const char *moxie_error_name(enum moxie_error code);

#ifdef __cplusplus
}
#endif
#endif
