/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine's tests share: the tiny checkpoints of tests/data/reference, packed, opened and run. Every helper
 * fails the running test when something goes wrong. */
#ifndef TESTS_ENGINE_KIT_H
#define TESTS_ENGINE_KIT_H

#include "pack/pack.h"
#include "runtime/engine.h"

/* The six checkpoints. */
enum { KIT_MODELS = 8 };
extern const char *const kit_model[KIT_MODELS];

/* A bundle and, after kit_start, an engine on it. Start zeroed. */
struct kit {
    struct moxie_bundle bundle;
    struct moxie *engine;
    struct moxie_plan plan;
    struct moxie_model model;
    struct moxie_failure failure;
};

/* Packs tests/data/reference/`name`, or another folder when `name` has a '/', into a temporary file and opens it; the
 * file is gone when this returns. Signed with the key of RFC 6979, A.2.5. */
void kit_open(struct kit *kit, const char *name, enum pk_weights weights);

struct moxie_key kit_key(void); /* its public half */

/* Also with keys and values of enum mx_kv_type (0: pack's choice). */
void kit_open_kv(struct kit *kit, const char *name, enum pk_weights weights, uint32_t kv_type);

/* From now on, until fake_reset, the device says that it has memory of its own and small work-groups. */
void kit_discrete(void);

/* moxie_init in mapped memory. */
void kit_start(struct kit *kit, const struct moxie_config *config);

/* Room for three sequences of KIT_CONTEXT positions, fed in one step with logits of one whole sequence. */
enum { KIT_CONTEXT = 192, KIT_TOKENS = 150 };
struct moxie_config kit_config(void);

void kit_stop(struct kit *kit);  /* moxie_close */
void kit_close(struct kit *kit); /* and the bundle */

/* The golden's token ids. */
void kit_tokens(const char *name, int32_t tokens[KIT_TOKENS]);

/* `count` entries of `sequence` from `position` on. */
uint32_t kit_entries(struct moxie_entry *entries, uint32_t sequence, uint32_t position, const int32_t *tokens,
                     uint32_t count, bool want_logits);

/* Appends `count` tokens to `sequence` in steps of at most `chunk`; rows of logits, (count, vocab), go to `logits` when
 * it is not NULL. */
void kit_feed(struct kit *kit, uint32_t sequence, const int32_t *tokens, uint32_t count, uint32_t chunk, float *logits);

/* (KIT_TOKENS, vocab), to be freed. */
float *kit_rows(const struct kit *kit);

/* Fails, naming `what` and the first row that differs, unless the rows have the same bits. */
void kit_same(const struct kit *kit, const char *what, const float *got, const float *want, uint32_t rows);

/* The row of tensor `name` in a safetensors file of float32 is overwritten with `value`. */
void kit_spoil(const char *path, const char *name, uint64_t first, uint64_t count, float value);

/* A copy of the folder tests/data/reference/`name` in a new temporary one: to be removed by remove_folder. */
char *kit_copy(const char *name);

#endif
