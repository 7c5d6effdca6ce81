#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the files boards/NAME/tunables named on the command line to standard output as one C file: the table mx_boards[]
# of opencl/tunables.h. The compiler then checks the keys, and names the file and line of one that it does not know.
set -eu

echo '#include "opencl/tunables.h"'
echo 'const struct mx_board mx_boards[] = {'
for file in "$@"; do
    LC_ALL=C awk -v file="$file" -v board="$(basename "$(dirname "$file")")" '
        BEGIN { printf "    {.board = \"%s\", .tunables.size = sizeof(struct moxie_tunables),\n", board }
        /^[ \t]*(#.*)?$/ { next }
        !/^(platform|name|version) = [^"\\ ]([^"\\]*[^"\\ ])?$/ && !/^[a-z_]+ = (0|[1-9][0-9]*)$/ {
            printf "%s:%d: expected \"key = value\", a number or (platform, name, version) a text\n", file, NR > "/dev/stderr"
            failed = 1
            exit 1
        }
        {
            key = $1
            value = substr($0, length(key) + 4)
            printf "#line %d \"%s\"\n", NR, file
            if (key == "platform" || key == "name" || key == "version") {
                known = 1
                printf "     .%s = \"%s\",\n", key, value
            } else
                printf "     .tunables.%s = %su,\n", key, value
        }
        END {
            if (!failed && !known) {
                printf "%s: without platform, name and version it would be every device\n", file > "/dev/stderr"
                exit 1
            }
            if (!failed)
                print "    },"
        }' "$file"
done
echo '    {.board = 0},'
echo '};'
