/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast this machine's cores multiply int8 numbers: what prefill is compared with. */
#ifndef TOOL_INT8_PEAK_H
#define TOOL_INT8_PEAK_H

#include <stdint.h>

/* Operations (a multiplication or an addition) per second of `threads` threads (0: one per CPU) on registers, by the
 * processor's best instruction for int8 products summed in int32; the best of `passes` passes. 0: not known for this
 * processor. */
double int8_peak(unsigned threads, unsigned passes);

#endif
