#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whole models on two drivers of a processor give the bits of the NumPy twin: the quick rows of tests/conformance/matrix.py.
# (tests/test_oclgrind.sh has Oclgrind's.)
. tests/check.sh
[ "$MOXIE_BUILD" = build ] || skip_all "matrix.py runs build/moxie"

"$PYTHON" tests/conformance/matrix.py --quick PoCL rusticl >build/tests/conformance.out
is "all rows were run" $? 0
while IFS='|' read -r _ row result _; do
    case $result in
    *" skipped: "*) echo "ok $((checks += 1)) -$row# SKIP${result/ skipped:/}" ;;
    *) is "${row# }" "$result" " same bits " ;;
    esac
done < <(sed '/^$/,$d' build/tests/conformance.out)
finish
