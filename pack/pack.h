/* SPDX-License-Identifier: Apache-2.0
 *
 * From a checkpoint to a signed bundle, as one call:
 *
 *     struct pk_pack_options o = {.source = "Qwen1.5-MoE-A2.7B", .output = "a27b.moxie", .key = &key,
 *                                 .weights = PK_WEIGHTS_INT4};
 *     struct pk_summary summary;
 *     if (!pk_pack(&o, progress, user, &summary, &error)) ...
 *
 * Memory does not grow with the checkpoint. The same source, options and key give the same bytes. */
#ifndef PK_PACK_H
#define PK_PACK_H

#include <stdint.h>

#include "pack/pk_error.h"
#include "pack/sign.h"
#include "pack/source.h"

enum pk_weights {
    PK_WEIGHTS_KEEP = 0, /* every matrix as it is stored: Int4 stays Int4 in value, floats stay in their type */
    PK_WEIGHTS_INT4,     /* attention and experts to Int4, embedding and head to Int8 */
    PK_WEIGHTS_INT8,
    PK_WEIGHTS_BF16, /* everything, also what was Int4, as floats of this type */
    PK_WEIGHTS_F16,
    PK_WEIGHTS_F32,
};
/* With INT4 and INT8, what is already Int4 stays as it is, and with INT4 an 8-bit embedding or head too. Norms, biases
 * and the router are always float32. */

struct pk_pack_options {
    const char *source;       /* folder, GGUF file, or archive of either */
    const char *output;       /* written beside it under a temporary name, then renamed over it */
    const struct pk_key *key; /* signs */
    enum pk_weights weights;
    uint32_t group;   /* of what is quantised here: 32, 64 or 128; 0 = 32 */
    bool head_int4;   /* with INT4: embedding and head too */
    uint32_t kv_type; /* enum mx_kv_type of keys and values; 0: F16, F32 when no matrix has integers */
    bool dry_run;     /* nothing is written: output and key may be NULL, and the summary says what would be */
    bool hollow;      /* weights are holes of zeros in the file and are not hashed: it can be planned, never run.
                         For sources without tokenizer and licence */
    const char *id;   /* the model's name in the bundle; NULL: the checkpoint's */
    uint64_t security_counter; /* a device that accepted a higher one refuses this bundle; at most 2^32 - 1 */
    unsigned threads;          /* 0 = one per CPU */
    uint64_t segment_max;      /* longest segment, in bytes; 0 = MX_SEGMENT_MAX. For devices with small buffers */
    uint64_t member_max;       /* longest member of the archive; 0 = MX_MEMBER_MAX */
};

/* What became of the matrices of one role, format and group. */
struct pk_kind {
    uint32_t role, format, group; /* bundle_format.h */
    uint32_t matrices;            /* tensors, an expert's counted once for each expert */
    uint64_t parameters;
    uint64_t bytes;
    bool rounded; /* some values are not those of the checkpoint */
    double error; /* relative: root of (sum of squared errors / sum of squares); 0 when every value is exact, or in a
                     dry run */
};

#define PK_KINDS_MAX 32

struct pk_summary {
    char model[64], architecture[32];
    char key_id[PK_KEY_ID_TEXT];
    uint64_t parameters; /* in matrices */
    uint64_t bundle_bytes, weight_bytes;
    uint32_t segments, tensors, layers;
    uint32_t chat_template; /* enum mx_chat_template */
    bool tokenizer, license;
    uint64_t unpacked; /* bytes of a compressed archive that went through a temporary file */
    uint64_t flushed;  /* values below 2^-40 in magnitude that became 0 */
    uint64_t widened;  /* matrices in a larger format than asked for, because parts of one tensor differ */
    struct pk_kind kind[PK_KINDS_MAX];
    uint32_t kinds;
};

/* Told bytes written and bytes in all; another result than 0 stops, and nothing is left behind. */
typedef int pk_progress_fn(void *user, uint64_t done, uint64_t total);

/* `progress` may be NULL. */
bool pk_pack(const struct pk_pack_options *options, pk_progress_fn *progress, void *user, struct pk_summary *summary,
             struct pk_error *e);

/* The same from an open source (options->source is not looked at), which is not closed: its `notes`, and which of its
 * tensors are `ignored` or `surplus`, are then there to be told. */
bool pk_pack_source(struct pk_source *source, const struct pk_pack_options *options, pk_progress_fn *progress,
                    void *user, struct pk_summary *summary, struct pk_error *e);

#endif
