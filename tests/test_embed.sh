#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The embedded kernels are the files of opencl/kernels, byte for byte.
. tests/check.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/print.c" <<'E2'
#include <stdio.h>
#include <string.h>
#include "opencl/kernel_sources.h"
int main(int argc, char **argv) {
    const struct mx_kernel_source *s = mx_kernel_source(argc > 1 ? argv[1] : "");
    return !s || strlen(s->source) != s->length || fwrite(s->source, 1, s->length, stdout) != s->length;
}
E2

# embed FILE...: a program that prints the kernel named by its argument
embed() {
    tools/embed_kernels.sh "$@" >"$work/kernels.c" 2>"$work/err" &&
        gcc -std=c11 -Wall -Wextra -Werror -I. "$work/print.c" "$work/kernels.c" opencl/kernel_sources.c -o "$work/print"
}
same() {
    "$work/print" "$(basename "$1" .cl)" | cmp - "$1"
}

# what C string literals could spoil: escapes, trigraphs, quotes, comments, long lines, a name that is a keyword
{
    printf '%s\n' 'a\n "quoted" \\ ??= ??/ %d /* no */ // "end \' '' "'" 'last	tab'
    head -c 5000 /dev/zero | tr '\0' x
    echo
} >"$work/half.cl"
: >"$work/empty.cl"
ok "difficult text compiles" embed "$work/empty.cl" "$work/half.cl"
ok "and is the same" same "$work/half.cl"
ok "an empty file is the same" same "$work/empty.cl"
ok "an unknown name is not found" bash -c "! '$work/print' nothing"
ok "no kernels at all compile" embed
printf 'caf\303\251\n' >"$work/accent.cl"
ok "other characters than ASCII are refused" bash -c "! tools/embed_kernels.sh '$work/accent.cl' >/dev/null 2>&1"

if ls opencl/kernels/*.cl >/dev/null 2>&1; then
    ok "the kernels compile" embed opencl/kernels/*.cl
    for kernel in opencl/kernels/*.cl; do
        ok "$kernel is the same" same "$kernel"
    done
fi

# boards: a number is a number, a text has no blanks at its ends, and nothing ends the string of C that it becomes
mkdir "$work/board"
board() {
    printf '%s\n' "$1" >"$work/board/tunables"
    tools/embed_boards.sh "$work/board/tunables" >"$work/boards.c" 2>"$work/err" &&
        gcc -std=c11 -Wall -Wextra -Werror -I. -c "$work/boards.c" -o "$work/boards.o"
}
refused() {
    ! board "$1" 2>/dev/null
}
for right in 'version = a*|b c' 'work_group = 128' '# a comment' 'without = 4294967295'; do
    ok "$right" board "name = x
$right"
done
ok "refused: a board that is every device" refused 'work_group = 128'
for wrong in 'work_group = -1' 'work_group = 010' 'work_group =' 'work_group = a' 'platform = x ' 'name = "' 'name = \' 'no_such = 1'; do
    ok "refused: $wrong" refused "version = x
$wrong"
done
finish
