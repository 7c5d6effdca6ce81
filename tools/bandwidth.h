/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast this machine's cores can read memory: what decoding is compared with. */
#ifndef TOOL_BANDWIDTH_H
#define TOOL_BANDWIDTH_H

#include <stdint.h>

/* Bytes per second that `threads` threads (0: one per CPU) read together from a buffer of 1 GiB, far above any cache;
 * the best of `passes` passes. 0: no memory or no threads for it. */
double bandwidth_read(unsigned threads, unsigned passes);

#endif
