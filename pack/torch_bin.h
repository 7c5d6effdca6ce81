/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch's .bin files as torch.save has written them since 1.6: a zip archive of stored members,
 *     <root>/data.pkl     pickle of {name: tensor} (pack/pickle.h)
 *     <root>/data/<key>   the elements of one storage, little-endian
 *     <root>/byteorder    "little"; newer versions only */
#ifndef PK_TORCH_BIN_H
#define PK_TORCH_BIN_H

#include "pack/source_build.h"

/* Adds the tensors of file `file` of the source. */
bool pk_torch_bin_add(struct pk_source *s, uint32_t file, struct pk_error *e);

#endif
