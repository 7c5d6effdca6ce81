/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of published shapes with pseudo-random Int4 weights, made without any download: what moxie bench --shape
 * packs. Every tensor is a window into one pool of pseudo-random blocks, so that memory stays small and making a
 * bundle takes as long as writing it. */
#ifndef TOOL_SYNTHETIC_H
#define TOOL_SYNTHETIC_H

#include "pack/source.h"

/* Names of the shapes, NULL at the end. */
extern const char *const synthetic_shapes[];

/* A source for pk_pack, of synthetic_shapes[shape], where `group` weights (32, 64 or 128) share a scale; the same bytes
 * every time. NULL: see `e`. */
struct pk_source *synthetic_open(uint32_t shape, uint32_t group, struct pk_error *e);

/* About how many bytes its bundle has at most. */
uint64_t synthetic_bytes(uint32_t shape);

#endif
