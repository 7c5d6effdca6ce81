/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TWIN_ENVIRONMENT_H
#define TWIN_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/moxie_error.h"

/* Tells what a driver says of itself and of a device: versions, extensions, limits, by the names of OpenCL. What the
 * driver does not answer is left out. `text` lives during the call of visit. Errors: NO_DEVICE. */
enum moxie_error twin_environment(uint32_t device,
                                  void (*visit)(void *user, const char *key, const char *text, bool is_number),
                                  void *user, struct moxie_failure *failure);

#endif
