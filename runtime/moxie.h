/* SPDX-License-Identifier: Apache-2.0
 *
 * Moxie: Mixture-of-Experts language models on any OpenCL device, from signed bundles, in memory fixed before it
 * starts.
 *
 *     open -> (verify) -> plan -> init -> step ... step -> close
 *
 * Rules that hold for every function here:
 *   - errors are values: MOXIE_OK or a code of moxie_error.h, and the details in *failure (which may be NULL);
 *   - nothing is allocated, printed or exited; after moxie_init no OpenCL object is created and no memory is mapped;
 *   - an engine, its bundle and its sequences belong to one thread at a time; only moxie_cancel may be called from
 *     another thread or a signal handler. Different engines are independent;
 *   - a struct given to the library starts with `size`: set it to sizeof the struct (the MOXIE_… initialisers do); zero
 * in any other field means its default. Structs filled by the library need no initialisation. */
#ifndef MOXIE_H
#define MOXIE_H

#include <stddef.h>
#include <stdint.h>

#include "opencl/moxie_blas.h"
#include "opencl/moxie_device.h"
#include "platform/moxie_error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOXIE_VERSION 0x000100u /* 0xMMmmpp; bundles name the oldest version that can run them */

/* What this version reads: bundles of this major version, of any minor one, with this arithmetic (ARITHMETIC.md). */
#define MOXIE_BUNDLE_MAJOR 1u
#define MOXIE_BUNDLE_MINOR 0u
#define MOXIE_ARITHMETIC 1u

/* Version the library was built as, to be compared with MOXIE_VERSION. */
uint32_t moxie_version(void);

/* ---- Trust ------------------------------------------------------------------------------------------------------- */

/* A pinned public key: P-256 point X || Y, big-endian. Its id is SHA-256(0x04 || X || Y). */
struct moxie_key {
    uint8_t xy[64];
};

/* What the product trusts. The keys and ids pointed to must stay alive during the call that takes it; the callbacks,
 * and what `user` points to, until the bundle is closed. */
struct moxie_trust {
    uint32_t size;
    uint32_t keys;                   /* number of pinned keys; none means that nothing can be opened */
    const struct moxie_key *key;     /* (keys) */
    uint32_t revoked;                /* number of revoked key ids */
    const uint8_t (*revoked_id)[32]; /* (revoked) */
    void *user;                      /* given to the callbacks */
    /* Rollback counter that the product stores for a model id (NUL-terminated); NULL = no rollback protection. load
     * returns the stored value, 0 if none; it is asked when a bundle is opened and again once everything verified.
     * store is called then, if the bundle's counter is higher; it returns 0 on success. Where several processes do
     * this, store must keep the highest. */
    uint64_t (*counter_load)(void *user, const char *model);
    int (*counter_store)(void *user, const char *model, uint64_t counter);
};
#define MOXIE_TRUST                                                                                                    \
    { .size = sizeof(struct moxie_trust) }

/* ---- Bundle ------------------------------------------------------------------------------------------------------ */

/* An open bundle. Opaque; the caller keeps it at a fixed address while engines use it. */
struct moxie_bundle {
    uint64_t opaque[64];
};

/* Maps the file at `path` read-only, checks its structure and signature, the Merkle roots, and the bytes that the host
 * itself uses (tokenizer, licence). Weights are verified by moxie_init on the device that will read them, or by
 * moxie_bundle_verify. Blocking: reads the manifest and tree only. */
enum moxie_error moxie_bundle_open(struct moxie_bundle *bundle, const char *path, const struct moxie_trust *trust,
                                   struct moxie_failure *failure);

/* The same for a bundle already in memory (flash, linked-in data). `bytes` is 4 KiB aligned, not copied, and stays
 * alive and unchanged until moxie_bundle_close. */
enum moxie_error moxie_bundle_open_memory(struct moxie_bundle *bundle, const void *bytes, size_t size,
                                          const struct moxie_trust *trust, struct moxie_failure *failure);

/* Hashes every byte on the host. `progress` (may be NULL) is told bytes done and bytes in all; a result other than 0
 * stops with MOXIE_ERROR_CANCELLED. */
enum moxie_error moxie_bundle_verify(struct moxie_bundle *bundle,
                                     int (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                                     struct moxie_failure *failure);

/* Unmaps. Engines on it must be closed before. */
void moxie_bundle_close(struct moxie_bundle *bundle);

/* Facts of the model in a bundle; strings live as long as the bundle. */
struct moxie_model {
    const char *id;
    const char *architecture;
    uint32_t hidden, layers, heads, kv_heads, head_dim;
    uint32_t vocab;          /* length of a row of logits */
    uint32_t max_positions;  /* the model's own limit */
    uint32_t routed_experts; /* of the layer with most, 0 for a dense model */
    uint32_t experts_per_token;
    uint32_t has_chat; /* 1: moxie_chat_turn works */
    uint64_t parameters;
    uint64_t weight_bytes; /* of all segments */
    uint64_t security_counter;
    const char *license; /* UTF-8, not NUL-terminated; NULL if none */
    size_t license_bytes;
};
enum moxie_error moxie_bundle_model(const struct moxie_bundle *bundle, struct moxie_model *model);

/* ---- Plan -------------------------------------------------------------------------------------------------------- */

/* Everything that decides memory. Zero = default. */
struct moxie_config {
    uint32_t size;
    uint32_t context;      /* positions of one sequence; default min(4096, the model's) */
    uint32_t sequences;    /* sequences at once; default 1, at most 256 */
    uint32_t kv_positions; /* KV pool for all sequences; default sequences * context, that rounded up to 64 */
    uint32_t step_tokens; /* most tokens in one step (prefill chunk); default min(256, context), at least `sequences` */
    uint32_t step_logits; /* most rows of logits of one step; default `sequences` */
    uint32_t device;      /* index for moxie_init; default 0 */
    uint32_t experts;     /* 1: the experts of the last step are kept for moxie_experts */
    uint32_t no_verify;   /* 1: moxie_bundle_verify or another engine has verified the bundle since it was opened, and
                             that is enough; MOXIE_ERROR_STATE otherwise */
    const struct moxie_tunables *tunables; /* asked for instead of the board's; read by the call only. NULL: none */
};
#define MOXIE_CONFIG                                                                                                   \
    { .size = sizeof(struct moxie_config) }

enum moxie_region_id {
    MOXIE_REGION_HOST = 0,    /* engine state, launch table, sampler: host memory */
    MOXIE_REGION_SESSION = 1, /* KV block pool */
    MOXIE_REGION_STEP = 2,    /* activations, parameters, logits */
    MOXIE_REGIONS = 3
};

/* Bytes of everything, before anything starts. Pure function of (bundle, facts, config). */
struct moxie_plan {
    uint64_t region_bytes[MOXIE_REGIONS]; /* to be given to moxie_init; alignment 4096 */
    uint64_t weight_bytes;                /* mapped bytes that kernels read (uploaded to a discrete device) */
    uint64_t device_bytes;                /* weights (if uploaded) + SESSION + STEP */
    uint64_t bytes_per_token;             /* weight bytes that one decoded token reads */
    uint64_t kv_bytes_per_token;
    uint32_t context, sequences, kv_blocks, step_tokens, step_logits; /* the values in force */
    uint32_t windows;                                                 /* device buffers over the weights */
    uint32_t launches;                                                /* kernels of a step, one after the other */
    uint32_t enqueues; /* launches that the host asks the driver for: on a processor one can go through many kernels */
    uint32_t programs; /* programs built at init */
};
enum moxie_error moxie_plan(const struct moxie_bundle *bundle, const struct moxie_device_facts *facts,
                            const struct moxie_config *config, struct moxie_plan *plan, struct moxie_failure *failure);

/* Tells `visit` every line of the plan: each buffer of a region (region >= 0, bytes at offset; those of STEP that are
 * never alive together overlap) and then each launch (region -1; name of the kernel, offset = its layer, UINT64_MAX for
 * none, bytes = its place in the step). Names live during the call of visit only. Needs no device. */
enum moxie_error moxie_plan_visit(const struct moxie_bundle *bundle, const struct moxie_device_facts *facts,
                                  const struct moxie_config *config,
                                  void (*visit)(void *user, int region, const char *name, uint64_t offset,
                                                uint64_t bytes),
                                  void *user, struct moxie_failure *failure);

/* ---- Engine ------------------------------------------------------------------------------------------------------ */

struct moxie; /* lives at the start of the HOST region */

struct moxie_region {
    void *pointer; /* 4096-byte aligned; NULL: the library maps it (one mmap for all NULL regions) */
    size_t bytes;
};

/* One launch of a step. Times are the device's own, in nanoseconds from some start. */
struct moxie_launch {
    const char *kernel, *what; /* "mx_linear", "gate up"; static memory */
    uint32_t layer;            /* UINT32_MAX: of no layer */
    uint64_t bytes;            /* weights, keys and values, each read once, and about so many bytes of activations */
    uint64_t operations;       /* of products and attention: multiplications and additions */
    uint64_t start_ns, end_ns;
};

/* What a product keeps itself. All optional. */
struct moxie_callbacks {
    uint32_t size;
    void *user;
    /* Compiled kernels, keyed by device, driver, sources and options. load copies at most `max` bytes and returns the
     * number, 0 if there is none. Their authenticity is the callback's duty. */
    size_t (*cache_load)(void *user, const uint8_t key[32], void *bytes, size_t max);
    void (*cache_store)(void *user, const uint8_t key[32], const void *bytes, size_t count);
    /* Progress of init: `what` is "build" (of `total` kernels; the first ones come after a while) or "verify" (of
     * `total` bytes); other than 0 stops with MOXIE_ERROR_CANCELLED. */
    int (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
    /* Diagnostics: build logs, replaced kernel variants. */
    void (*log)(void *user, const char *text);
    /* Computes the dense matrix products of float32 bundles (not the experts', nor the router's) instead of Moxie's own
     * kernels; see opencl/moxie_blas.h for what that costs. NULL: the same bits everywhere. */
    const struct moxie_blas *blas;
    /* For measuring: called at the end of each step for every launch that it made, in their order. Then each kernel is
     * launched by itself, on every device, and the driver makes an event for it, which lives until the step ends: the
     * only objects that are made after init. NULL: steps are not measured. */
    void (*launch)(void *user, const struct moxie_launch *launch);
};
#define MOXIE_CALLBACKS                                                                                                \
    { .size = sizeof(struct moxie_callbacks) }

/* Builds kernels, checks them against known answers, creates every OpenCL object, verifies the weights on the device
 * and binds the launch table. `bundle` and the memory of `regions` stay alive until moxie_close. Blocking, seconds. On
 * failure nothing is left behind. */
enum moxie_error moxie_init(struct moxie **engine, const struct moxie_bundle *bundle, const struct moxie_config *config,
                            const struct moxie_region regions[MOXIE_REGIONS], const struct moxie_callbacks *callbacks,
                            struct moxie_failure *failure);

/* Releases every OpenCL object and what the library mapped. The caller's regions may then be reused. */
void moxie_close(struct moxie *engine);

/* The plan in force and the facts of the device; enqueues and programs as they are, also where a BLAS or a profile
 * takes part or lists of kernels do not work. */
void moxie_engine_plan(const struct moxie *engine, struct moxie_plan *plan, struct moxie_device_facts *facts);

/* A kernel that this engine uses in another form than the device's fastest, because that one gave wrong bits or did not
 * compile: the bits are right, only speed is lost. (When no form of a kernel is right, moxie_init refuses the device
 * with MOXIE_ERROR_KNOWN_ANSWER or MOXIE_ERROR_COMPILE, and says which kernel.) Strings are static. */
struct moxie_replacement {
    const char *program;        /* its source: "linear" */
    const char *kernel;         /* that was wrong; NULL: the program did not compile */
    uint32_t format, group, kv; /* what the program is for, as pack/SPEC.md numbers it; 0: it does not matter */
    const char *was, *is;       /* "AVX2", "portable", "portable, halves by integers"; "in lists", "one by one" */
    enum moxie_error why;       /* MOXIE_ERROR_KNOWN_ANSWER or MOXIE_ERROR_COMPILE */
};

/* Replacement `index` (0, 1, …) of the engine. Returns 1, or 0 when there are no more. */
int moxie_engine_replacement(const struct moxie *engine, uint32_t index, struct moxie_replacement *replacement);

/* ---- Sequences and steps ----------------------------------------------------------------------------------------- */

/* One token of a step. `position` must be the sequence's length at that entry: entries of one sequence are consecutive
 * positions in order. Several sequences, and several tokens of each, may be mixed. */
struct moxie_entry {
    uint32_t sequence; /* 0 .. sequences-1 */
    uint32_t position;
    int32_t token;
    uint32_t want_logits; /* 1: this entry's row of logits is computed */
};

/* Runs `count` tokens (at most step_tokens) through the model. Blocking. On failure every sequence is as before the
 * call (after MOXIE_ERROR_DEVICE_LOST the engine can only be closed). */
enum moxie_error moxie_step(struct moxie *engine, const struct moxie_entry *entries, uint32_t count,
                            struct moxie_failure *failure);

/* Row `index` (in the order of the entries that wanted one) of the last step's logits: float32 (vocab), valid until the
 * next step. NULL if there is no such row. */
const float *moxie_logits(const struct moxie *engine, uint32_t index);

/* Bytes of weights, keys and values that the last step had to read: every weight that takes part once, of experts those
 * that tokens chose, and keys and values once for each sequence. 0 before the first step. */
uint64_t moxie_step_bytes(const struct moxie *engine);

/* The routed experts that layer `layer` chose for entry `entry` of the last step (in moxie_prefill: of its last step),
 * in ascending order; *count (may be NULL) is their number. Experts without matrices are numbered behind all others,
 * the shared ones included. Valid until the next step. NULL if there is no such entry or layer, the layer is dense, or
 * config.experts was 0. */
const int32_t *moxie_experts(const struct moxie *engine, uint32_t entry, uint32_t layer, uint32_t *count);

/* Convenience: appends `count` tokens to `sequence` in steps of at most step_tokens; logits row 0 is the last token's.
 * On failure or cancellation the sequence is as long as before the call. */
enum moxie_error moxie_prefill(struct moxie *engine, uint32_t sequence, const int32_t *tokens, size_t count,
                               struct moxie_failure *failure);

/* Stops a running moxie_step or moxie_prefill between two launches: it returns MOXIE_ERROR_CANCELLED. Any thread,
 * signal-safe. Without a running call it has no effect on later ones. (moxie_init is stopped by its progress callback.)
 */
void moxie_cancel(struct moxie *engine);

uint32_t moxie_sequence_length(const struct moxie *engine, uint32_t sequence);
/* Positions that can still be appended to `sequence`: the smaller of its context and the free KV blocks. */
uint32_t moxie_sequence_room(const struct moxie *engine, uint32_t sequence);
/* Forgets everything from `length` on. Never fails for length <= the current one. */
enum moxie_error moxie_sequence_truncate(struct moxie *engine, uint32_t sequence, uint32_t length,
                                         struct moxie_failure *failure);
/* Makes `to` a copy of the first `length` positions of `from`, sharing its KV blocks (copied on write). */
enum moxie_error moxie_sequence_fork(struct moxie *engine, uint32_t from, uint32_t to, uint32_t length,
                                     struct moxie_failure *failure);

/* ---- Text -------------------------------------------------------------------------------------------------------- */

/* Flags of moxie_encode. */
#define MOXIE_ENCODE_SPECIALS 1u /* control tokens such as <|im_end|> are recognised: never for what a user wrote */
#define MOXIE_ENCODE_BEGIN 2u    /* the text begins a sequence: the begin token comes first if the model wants one */

/* Text to token ids. `bytes` of UTF-8. Scratch memory is in the HOST region. *count is the number of ids, also when
 * `max` is too small (MOXIE_ERROR_BUFFER_SMALL). MOXIE_ERROR_TEXT: not UTF-8, a byte the vocabulary cannot express, or
 * a word (what the vocabulary does not split further) for which scratch has no room: 100 KB and more, normalised, are.
 */
enum moxie_error moxie_encode(struct moxie *engine, const char *text, size_t bytes, unsigned flags, int32_t *ids,
                              size_t max, size_t *count, struct moxie_failure *failure);

/* State of one stream of text; start zeroed. Some vocabularies put a space before every text: it is dropped again from
 * a text that starts zeroed, and stays in one that starts as MOXIE_TEXT_CONTINUED, which goes on another. */
struct moxie_text {
    uint32_t opaque[16];
};
#define MOXIE_TEXT_CONTINUED                                                                                           \
    {                                                                                                                  \
        { 0, 0, 1 }                                                                                                    \
    }
/* Bytes of UTF-8 that `token` completes (0 while a character is incomplete), not NUL-terminated. Control tokens give
 * nothing. token < 0 flushes the end of the stream. 512 bytes are enough for the tokens of usual vocabularies; where
 * they are not, MOXIE_ERROR_BUFFER_SMALL has the bytes needed in `offset`, and the call may be made again.
 * MOXIE_ERROR_TOKEN: outside the model's vocabulary. */
enum moxie_error moxie_decode(const struct moxie *engine, struct moxie_text *state, int32_t token, char *text,
                              size_t max, size_t *bytes, struct moxie_failure *failure);

/* 1 if `token` ends an answer, else 0. */
int moxie_is_end(const struct moxie *engine, int32_t token);

/* What the sequence ends with, to which a turn of a chat is appended. */
enum moxie_chat_at {
    MOXIE_CHAT_AT_START = 0,    /* nothing: the sequence is empty */
    MOXIE_CHAT_AT_TURN = 1,     /* an assistant's turn rendered by moxie_chat_turn with answer = 0 */
    MOXIE_CHAT_AT_END = 2,      /* an answer and the end token that the model gave */
    MOXIE_CHAT_AT_ANSWER = 3,   /* an answer that was cut short before its end token */
    MOXIE_CHAT_AT_SYSTEM = 4,   /* a system turn rendered by moxie_chat_turn with answer = 0 */
    MOXIE_CHAT_AT_QUESTION = 5, /* a user's turn, likewise */
};

/* Renders one message of a chat in the model's own template to token ids that continue the sequence: what `at` lacks,
 * at the start the template's default system message (unless role is "system"), the message, and with `answer` = 1 the
 * opening of the assistant's turn. The content is never searched for control tokens. role: "system", "user" or
 * "assistant". *count is the number of ids, also when `max` is too small (MOXIE_ERROR_BUFFER_SMALL).
 * MOXIE_ERROR_TEXT: a base model without a template, a turn for which the template has no place (some have no system
 * message, or want questions and answers to alternate), or content that cannot be encoded. */
enum moxie_error moxie_chat_turn(struct moxie *engine, enum moxie_chat_at at, const char *role, const char *content,
                                 size_t bytes, int answer, int32_t *ids, size_t max, size_t *count,
                                 struct moxie_failure *failure);

/* Sampling. Zero = the bundle's own default (generation_config), where it has none: greedy, no penalty. */
struct moxie_sampling {
    uint32_t size;
    float temperature;        /* 1e-6 to 1e6; < 0: greedy whatever the bundle says */
    uint32_t top_k;           /* UINT32_MAX: off */
    float top_p;              /* in (0, 1]; 1 = off */
    float min_p;              /* < 0: off */
    float repetition_penalty; /* 1e-6 to 1e6; 1 = off */
    uint64_t seed;            /* same seed, logits and position: same token, on every machine */
    const uint32_t *allowed;  /* bitmap of (vocab) bits, bit i of word i/32; NULL: all */
    const int32_t *history;   /* (history_count) token ids that the repetition penalty looks at */
    size_t history_count;
};
#define MOXIE_SAMPLING                                                                                                 \
    { .size = sizeof(struct moxie_sampling) }

/* Chooses a token from row `index` of the last logits; `position` (of the token to be) keys the random numbers. */
enum moxie_error moxie_sample(struct moxie *engine, uint32_t index, const struct moxie_sampling *sampling,
                              uint32_t position, int32_t *token, struct moxie_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
