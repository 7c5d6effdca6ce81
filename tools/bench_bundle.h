/* SPDX-License-Identifier: Apache-2.0
 *
 * The bundle of moxie bench --shape. */
#ifndef TOOL_BENCH_BUNDLE_H
#define TOOL_BENCH_BUNDLE_H

#include "tools/engine.h"

/* Packs synthetic_shapes[shape], with `group` weights to a scale and keys and values of enum mx_kv_type (0: pack's
 * choice), and opens it. `keep` NULL: into a temporary file, signed with a key that exists for this run only, and
 * without a name once it is open. Else into `keep`, signed with the key of the store. `gguf` not NULL: the weights are
 * also written there (tools/synthetic_gguf.h). An exit status, reported; the engine is to be closed in any case. */
int bench_bundle_open(struct engine *engine, uint32_t shape, uint32_t group, uint32_t kv_type, const char *keep,
                      const char *gguf);

#endif
