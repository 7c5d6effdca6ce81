/* SPDX-License-Identifier: Apache-2.0
 *
 * The file: a ustar archive through libarchive, segments streamed and hashed leaf by leaf, and the members that depend
 * on the hashes put into their place at the end. Until pk_writer_finish the output does not exist. */
#ifndef PK_WRITER_H
#define PK_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

struct pk_writer;

/* Creates a temporary file beside `path`. `leaves`: 32 bytes for every leaf that will be written, filled in order
 * until pk_writer_end.
 * NULL: see `e`. */
struct pk_writer *pk_writer_open(const char *path, uint8_t *leaves, unsigned threads, struct pk_error *e);

/* Begins a member of `bytes` bytes; the one before it is complete. */
bool pk_writer_member(struct pk_writer *w, const char *name, uint64_t bytes, struct pk_error *e);

/* The next bytes of the member, not hashed; NULL: zeros. */
bool pk_writer_plain(struct pk_writer *w, const void *data, uint64_t n, struct pk_error *e);

/* The next bytes of a segment; NULL: zeros. Leaves are counted from the first byte after pk_writer_end_segment. */
bool pk_writer_put(struct pk_writer *w, const void *data, uint64_t n, struct pk_error *e);
bool pk_writer_end_segment(struct pk_writer *w, struct pk_error *e);

/* From now on the writer leaves holes where there is nothing but zeros, and gives every leaf a digest of zeros: what it
 * writes can be planned with, but not be run. Before the first segment. */
void pk_writer_hollow(struct pk_writer *w);

/* Bytes written so far, headers and all; what was put last may still be on its way until pk_writer_end. */
uint64_t pk_writer_position(const struct pk_writer *w);

/* Overwrites `n` bytes at `offset` of the file, which were written as zeros. After pk_writer_end. */
bool pk_writer_patch(struct pk_writer *w, uint64_t offset, const void *data, uint64_t n, struct pk_error *e);

/* Ends the archive with two zero blocks. */
bool pk_writer_end(struct pk_writer *w, struct pk_error *e);

/* fsync, and rename over the output. */
bool pk_writer_commit(struct pk_writer *w, struct pk_error *e);

/* Frees; without pk_writer_commit before, nothing is left behind. */
void pk_writer_close(struct pk_writer *w);

#endif
