#!/bin/sh
# Fuzzes the importers' parsers with libFuzzer, address and undefined-behaviour sanitizers.
#
#   tests/fuzz/run.sh [SECONDS per target, default 60] [TARGET …]
#
# Targets: safetensors gguf config. Seeds come from seeds.py; what is found on the way is kept in
# build/fuzz. Needs clang.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- safetensors gguf config
out=build/fuzz
mkdir -p $out
python3 tests/fuzz/seeds.py $out/seeds
sources="tests/fuzz/fuzz_file.c pack/families.c pack/pk_error.c pack/pk_file.c pack/json_util.c pack/dequant.c pack/model.c pack/source.c
pack/source_check.c pack/safetensors.c pack/gguf.c pack/gguf_keys.c pack/gguf_model.c pack/gguf_names.c
pack/gguf_split.c pack/gptq.c pack/panel.c pack/hf_quant.c pack/pickle.c pack/pickle_machine.c pack/torch_bin.c pack/folder.c pack/archive.c pack/hf_config.c pack/hf_texts.c pack/hf_folder.c"
for target; do
    mkdir -p "$out/$target"
    # shellcheck disable=SC2086
    clang -std=c11 -g -O1 -I. -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
        "tests/fuzz/fuzz_$target.c" $sources -larchive -ljansson -lutf8proc -lm -o "$out/fuzz_$target"
    "$out/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -artifact_prefix=$out/ "$out/$target" \
        "$out/seeds/$target" > "$out/$target.log" 2>&1 || { tail -n 60 "$out/$target.log"; exit 1; }
    echo "ok - $target: $seconds s"
done
rm -rf /tmp/moxie-fuzz-??????
