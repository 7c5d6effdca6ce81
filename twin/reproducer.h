/* SPDX-License-Identifier: Apache-2.0
 *
 * A wrong kernel as something that a driver's makers can run: its source, its arguments, the bytes that must come out,
 * and a host program of one file (twin/reproduce/reproduce.c) that needs nothing of Moxie. */
#ifndef TWIN_REPRODUCER_H
#define TWIN_REPRODUCER_H

#include "twin/selftest.h"

/* Writes kernel.cl, case.h, before.bin, expected.bin, reproduce.c and README.md into a folder that is there. The
 * verdict has a difference. `device` is what the test ran on. Errors: FILE. */
enum moxie_error twin_reproduce(const char *folder, const struct twin_verdict *v, uint32_t device,
                                const struct moxie_device_facts *facts, struct moxie_failure *failure);

#endif
