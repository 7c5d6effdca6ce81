#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench_kernels runs each kernel to its end. Its arguments stand in the benchmark, and nothing else notices when a kernel's
# have changed. What it measures is not looked at.
. tests/check.sh

# runs TEXT LINES...: the lines that contain TEXT are measured, and there is one that begins with each of LINES
# shellcheck disable=SC2317 # by ok
runs() {
    local text=$1 out line
    shift
    out=$("$MOXIE_BUILD"/tests/bench/bench_kernels "$text" 2>&1) || { printf '# %s\n' "$out"; return 1; }
    for line in "$@"; do
        grep -q "^ *$line.*[1-9]" <<<"$out" || { printf "# no %s: %s\n" "$line" "$out"; return 1; }
    done
}

ok "mx_linear" runs "router" router
ok "mx_attention" runs "attention kv 1, 9/3" attention
ok "mx_norm" runs "norm 2048 group 32, 1 rows" norm
ok "mx_quantise" runs "quantise" quantise
ok "mx_rope_kv" runs "128, 1 tokens" rope
ok "mx_route, mx_sort, mx_combine" runs "experts, 1 tokens" route sort combine
ok "mx_hash_leaves" runs "hash" hash
finish
