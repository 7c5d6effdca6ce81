/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/kernel_sources.h"

#include <string.h>

const struct mx_kernel_source *mx_kernel_source(const char *name) {
    for (const struct mx_kernel_source *s = mx_kernel_sources; s->name; s++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}
