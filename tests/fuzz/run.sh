#!/bin/sh
# Fuzzes the importers' parsers with libFuzzer, address and undefined-behaviour sanitizers.
#
#   tests/fuzz/run.sh [SECONDS per target, default 60] [TARGET …]
#
# Targets: safetensors gguf config gptq pickle torch_bin archive tokenizer index. Seeds come from seeds.py and
# corpus/; what is found on the way is kept in build/fuzz. Needs clang. To keep it for good, in a folder of the target's name:
#
#   build/fuzz/fuzz_TARGET -merge=1 TARGET build/fuzz/TARGET && tar -cJf tests/fuzz/corpus/TARGET.tar.xz TARGET
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- safetensors gguf config gptq pickle torch_bin archive tokenizer index
out=${OUT:-build/fuzz}
mkdir -p "$out/obj"
"${PYTHON:-/usr/bin/python3}" tests/fuzz/seeds.py "$out/seeds"
flags="-std=c11 -g -O1 -I. -ffp-contract=off -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
objects=
for source in tests/fuzz/fuzz_file.c pack/*.c runtime/crypto.c runtime/sha256_x86.c runtime/third_party.c platform/fail.c \
    platform/posix.c; do
    object=$out/obj/$(basename "$source" .c).o
    # shellcheck disable=SC2086
    [ "$(find "$object" -newer "$source" 2>/dev/null)" ] || clang $flags -c "$source" -o "$object"
    objects="$objects $object"
done
for target; do
    mkdir -p "$out/$target" "$out/seeds/$target"
    [ ! -f "tests/fuzz/corpus/$target.tar.xz" ] || tar -C "$out/seeds" -xf "tests/fuzz/corpus/$target.tar.xz"
    # shellcheck disable=SC2086
    clang $flags -fsanitize=fuzzer "tests/fuzz/fuzz_$target.c" $objects \
        -larchive -ljansson -lmbedcrypto -lutf8proc -lpthread -lm -o "$out/fuzz_$target"
    "$out/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -artifact_prefix="$out/" "$out/$target" \
        "$out/seeds/$target" > "$out/$target.log" 2>&1 || { tail -n 60 "$out/$target.log"; exit 1; }
    echo "ok - $target: $seconds s"
done
rm -rf /tmp/moxie-fuzz-??????
