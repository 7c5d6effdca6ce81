#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kernels and their twins on small shapes in Oclgrind, which watches every access: no race, nothing uninitialised, nothing out
# of bounds, and the twin's bits. In both styles, so also as a GPU gets them. Then whole models, and the NumPy twin's bits.
. tests/check.sh
case $MOXIE_BUILD in */san*) skip_all "Oclgrind has no sanitizers" ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
watch="--data-races --uninitialized"

# complaints FILE: what Oclgrind found (its messages are on standard error)
complaints() { grep -E 'ace at|ninitialized|Invalid|OCLGRIND' "$1" | sort | uniq -c; }

# It does find what it is here for.
cat >"$work/racy.cl" <<'CL'
__kernel void racy(__global uint *x, __global uint *y) {
    x[0] = get_global_id(0);
    if (y[get_global_id(0)] == 7)
        x[1] = 0;
    y[get_global_id(0) + 4] = 1;
}
CL
printf '%s\n' "$work/racy.cl" racy '8 1 1' '4 1 1' '<size=8 fill=0>' '<size=32 noinit>' >"$work/racy.sim"
# shellcheck disable=SC2086
oclgrind-kernel $watch "$work/racy.sim" >"$work/planted" 2>&1
for what in 'ace at' ninitialized Invalid; do
    ok "a planted fault is found ($what)" grep -q "$what" "$work/planted"
done

# What oclgrind_memory.c says of it, which is in front of it where whole models run (matrix.py): without, the host's writes
# are lost; with it they count, and what a kernel leaves unwritten is still found.
cc -shared -fPIC tests/conformance/oclgrind_memory.c -o "$work/memory.so"
cc tests/conformance/oclgrind_written.c -lOpenCL -o "$work/written"
for what in host part private; do
    for memory in "" "$work/memory.so:"; do
        oclgrind --uninitialized sh -c "LD_PRELOAD=\"$memory\$LD_PRELOAD\" exec \"$work/written\" $what" >"$work/$what" 2>&1
        is "$what${memory:+, with oclgrind_memory.c}: it ran" $? 0
        case $what,$memory in
        private,* | *,) ok "$what${memory:+, with oclgrind_memory.c}: complained about" grep -q ninitialized "$work/$what" ;;
        *) is "$what, with oclgrind_memory.c: nothing to complain about" "$(complaints "$work/$what")" "" ;;
        esac
    done
done

for part in linear embed norm rope attention experts hash; do
    # shellcheck disable=SC2086
    MX_SMALL=1 MX_DEVICE=Oclgrind CMOCKA_MESSAGE_OUTPUT=stdout oclgrind $watch "$MOXIE_BUILD/tests/test_kernels" \
        test_$part >"$work/$part" 2>&1
    is "$part: the twin's bits" $? 0
    ok "$part: something was compared" grep -q "OK.*test_$part" "$work/$part"
    is "$part: nothing to complain about" "$(complaints "$work/$part")" ""
done

if [ "$MOXIE_BUILD" = build ]; then # matrix.py runs build/moxie
    "$PYTHON" tests/conformance/matrix.py --quick Oclgrind >"$work/matrix"
    is "whole models: the NumPy twin's bits, nothing to complain about" \
        "$(sed -n 's/^| \(Oclgrind[^|]*|[^|]*\) |.*/\1/p; /^$/q' "$work/matrix")" "Oclgrind, small | same bits"
fi
finish
