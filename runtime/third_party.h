/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in for the C library under the static parts of mbedTLS and utf8proc that libmoxie.a contains.
 *
 * In a private copy of these two libraries the build renames every symbol X that they define, and the references that
 * third_party.syms lists, to mx_tp_X. So they share nothing with an mbedTLS of the program that links libmoxie.a, and
 * can reach neither heap nor stdio:
 *   calloc, free       a fixed pool, which exists only between mx_tp_enter and mx_tp_leave
 *   the others listed  functions that are not there. What needs them (utf8proc_map, file and self-test functions of
 *                      mbedTLS) is never called, and would fail as if the resource were exhausted.
 */
#ifndef MX_THIRD_PARTY_H
#define MX_THIRD_PARTY_H

#include <stddef.h>

enum { MX_TP_POOL_BYTES = 16384 };

/* Takes the pool, empty; waits while another thread holds it (one signature check, about 2 ms). Does not nest. */
void mx_tp_enter(void);

/* Wipes the pool and gives it back. */
void mx_tp_leave(void);

/* The most bytes that were ever in use, gaps and headers included: for the test that the pool is large enough. */
size_t mx_tp_peak(void);

/* calloc and free in the pool, for the thread between enter and leave; NULL when the pool is exhausted. */
void *mx_tp_calloc(size_t count, size_t size);
void mx_tp_free(void *memory);

#endif
