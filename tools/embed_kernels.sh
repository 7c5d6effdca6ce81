#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the OpenCL C files named on the command line to standard output as one C file: the table mx_kernel_sources[]
# of opencl/kernel_sources.h. One C string per source line, so that the result can be read.
set -eu

for file in "$@"; do
    if LC_ALL=C grep -n '[^[:print:][:space:]]' "$file" >&2; then
        echo "$file: kernels are ASCII: some drivers refuse anything else" >&2
        exit 1
    fi
done

echo '#include "opencl/kernel_sources.h"'
for file in "$@"; do
    echo
    echo "static const char source_$(basename "$file" .cl)[] ="
    # '?' is escaped because of trigraphs, which -std=c11 switches on
    sed 's/[\\"?]/\\&/g; s/.*/    "&\\n"/' "$file"
    echo '    "";'
done
echo
echo 'const struct mx_kernel_source mx_kernel_sources[] = {'
for file in "$@"; do
    name=$(basename "$file" .cl)
    echo "    {\"$name\", source_$name, sizeof source_$name - 1},"
done
echo '    {NULL, NULL, 0},'
echo '};'
