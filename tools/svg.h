/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of numbers, as SVG that is read in light and in dark. The same numbers give the same bytes. */
#ifndef TOOL_SVG_H
#define TOOL_SVG_H

#include <stdint.h>

#include "tools/paths.h"

/* One part of a bar. */
struct svg_part {
    const char *name, *what; /* in front of and behind its number of bytes */
    uint64_t bytes;
};

/* Parts of a whole, in proportion, with a line of legend for each. An exit status, reported. */
int svg_bar(const char *path, const char *title, const struct svg_part *part, uint32_t parts);

/* Opens a picture's file, where what is drawn takes long enough to be told now. An exit status, reported. */
int svg_open(struct out_file *f, const char *path);

/* A table of (rows, cols) counts as a heat map, which ends f: the stronger the colour, the larger its share of the row.
 * An exit status, reported. */
int svg_heat(struct out_file *f, const char *title, const char *row, const char *col, const uint64_t *count,
             uint32_t rows, uint32_t cols);

#endif
