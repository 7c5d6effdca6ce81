#!/bin/sh
# Fuzzes mx_bundle_open with libFuzzer, address and undefined-behaviour sanitizers, from bundles of tiny models.
#
#   tests/fuzz/bundle.sh [SECONDS, default 60]
#
# Needs clang and build/moxie. What is found is kept in build/fuzz.
set -eu
cd "$(dirname "$0")/../.."
out=/work/tmp/files/lfbundle
mkdir -p $out/bundle $out/seeds/bundle
XDG_CONFIG_HOME=/work/tmp/files/lfbundle/keys
export XDG_CONFIG_HOME
[ -d "$XDG_CONFIG_HOME" ] || build/moxie keygen >/dev/null
for model in moe-sparse-step moe-norm-tied qwen2; do
    for weights in keep int4; do
        build/moxie pack tests/data/reference/$model -o $out/seed.moxie --weights $weights >/dev/null
        # The hashes in the target are all zero: so are those of the seeds. Weights stay, their values are looked at.
        python3 - $out/seed.moxie $out/seeds/bundle/$model-$weights <<'END'
import struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
u32 = lambda at: struct.unpack_from("<I", b, at)[0]
u64 = lambda at: struct.unpack_from("<Q", b, at)[0]
b[512 + 56:512 + 88] = bytes(32)
for i in range(u32(512 + 364)):
    at = 512 + u32(512 + 360) + 80 * i + 48
    b[at:at + 32] = bytes(32)
members = 512 + u32(512 + 344)
for i in (1, 2):
    at, size = u64(members + 64 * i + 40), u64(members + 64 * i + 48)
    b[at:at + size] = bytes(size)
open(sys.argv[2], "wb").write(b)
END
    done
done
clang -std=c11 -g -O1 -I. -ffp-contract=off -DCL_TARGET_OPENCL_VERSION=120 -fsanitize=fuzzer,address,undefined \
    -fno-sanitize-recover=undefined tests/fuzz/fuzz_bundle.c runtime/bundle*.c runtime/verify_host.c runtime/verify_values.c \
    platform/fail.c -o $out/fuzz_bundle
$out/fuzz_bundle -max_total_time="${1:-60}" -max_len=2000000 -len_control=0 -verbosity=0 -artifact_prefix=$out/ \
    $out/bundle $out/seeds/bundle
echo "ok - bundle: ${1:-60} s"
