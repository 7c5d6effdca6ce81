/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch's .bin files as torch.save has written them since 1.6: a zip archive of stored members,
 *     <root>/data.pkl     pickle of {name: tensor} (pack/pickle.h)
 *     <root>/data/<key>   the elements of one storage, little-endian
 *     <root>/byteorder    "little"; newer versions only */
#ifndef PK_TORCH_BIN_H
#define PK_TORCH_BIN_H

#include "pack/safetensors.h"

/* The tensors of the file, in the table that safetensors files have too; to be freed by pk_safetensors_free, also after
 * a failure. */
bool pk_torch_bin_read(struct pk_safetensors *out, const struct pk_file *f, struct pk_error *e);

#endif
