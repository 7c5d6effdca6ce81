/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of a bundle that the library has checked, and their words. */
#ifndef TOOL_TABLES_H
#define TOOL_TABLES_H

#include <stddef.h>

#include "runtime/bundle_format.h"

struct tables {
    const struct mx_manifest *manifest;
    const struct mx_member *members;
    const struct mx_layer *layers;
    const struct mx_segment *segments;
    const struct mx_tensor *tensors;
};

/* `bytes`: a whole bundle that moxie_bundle_open_memory accepted. */
struct tables tables_of(const void *bytes);

const char *format_name(uint32_t format);
const char *role_name(uint32_t role);
const char *scale_name(uint32_t scale_type);
const char *kv_name(uint32_t kv_type);
const char *chat_template_name(uint32_t chat_template);

/* "layers.3.experts.gate_up", "embedding.rows4096" (a later part of a matrix). */
void tensor_name(const struct tables *t, const struct mx_tensor *tensor, char *name, size_t max);

/* Bytes of all planes in one segment, with their padding of rows and columns. */
uint64_t tensor_bytes(const struct mx_tensor *tensor);

/* Place in the bundle of the first plane, in the tensor's first segment. */
uint64_t tensor_offset(const struct tables *t, const struct mx_tensor *tensor);

#endif
