#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fake OpenCL of the C tests sees every OpenCL call that the library makes.
. tests/check.sh

used=$(nm "${MOXIE_BUILD:-build}/libmoxie.a" | sed -n 's/^ *U \(cl[A-Z][A-Za-z]*\)$/\1/p' | sort -u)
faked=$(grep -oE '\bcl(Get|Create|Release|Build|Set|Enqueue|Finish|Flush|Wait|Retain)[A-Za-z]*' tests/fake_opencl.c | sort -u)
ok "the library calls OpenCL" test -n "$used"
is "no call goes past the fake" "$(comm -23 <(echo "$used") <(echo "$faked"))" ""
is "the fake knows no call that the library does not make" "$(comm -13 <(echo "$used") <(echo "$faked"))" ""
finish
