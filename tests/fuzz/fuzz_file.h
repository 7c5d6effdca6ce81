/* SPDX-License-Identifier: Apache-2.0
 *
 * The fuzzer's bytes as a file in memory that code which opens paths can open. */
#ifndef TESTS_FUZZ_FILE_H
#define TESTS_FUZZ_FILE_H

#include <stddef.h>

#include "pack/pk_file.h"

/* One file, rewritten by each call. */
struct pk_file fuzz_file(const uint8_t *data, size_t n);

#endif
