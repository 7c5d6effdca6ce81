#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/setup.sh on pretended machines: which packages it asks for, how it becomes root, what it says.
. tests/check.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CALLS=$work/calls INSTALLED=$work/installed ROOT=0 FAIL_ONCE=
tools=$work/bin
mkdir "$tools"

# fake NAME: an executable from standard input, found before the real one
fake() {
    { echo '#!/bin/bash'; cat; } >"$tools/$1"
    chmod +x "$tools/$1"
}
fake dpkg-query <<<'sed "s/^/installed /" "$INSTALLED"'
fake id <<<'echo "$ROOT"'
fake apt-get <<'E2'
echo "apt-get $*" >>"$CALLS"
[ "$1" = install ] && [ -n "$FAIL_ONCE" ] && [ ! -e "$CALLS.failed" ] && touch "$CALLS.failed" && exit 100
exit 0
E2

setup() {
    : >"$CALLS"
    rm -f "$CALLS.failed"
    PATH=$tools:/usr/bin:/bin tools/setup.sh "$@" >"$work/out" 2>&1
}
packages() { awk -v group="$1" '$1 == group { print $2 }' tools/packages.txt; }

{ packages build; packages test; } >"$INSTALLED"
setup build test
is "everything there: status 0" $? 0
is "everything there: not a word" "$(cat "$work/out")" ""
is "everything there: no apt-get" "$(cat "$CALLS")" ""

packages build | grep -v libarchive-dev >"$INSTALLED"
setup build
is "one missing: only that is installed" "$(cat "$CALLS")" "apt-get install -q -y --no-install-recommends libarchive-dev"
ok "and it is said" grep -q 'installing.*libarchive-dev' "$work/out"

FAIL_ONCE=1 setup build
is "package lists too old: they are refreshed once" "$(cat "$CALLS")" \
    "apt-get install -q -y --no-install-recommends libarchive-dev
apt-get update -q
apt-get install -q -y --no-install-recommends libarchive-dev"

fake sudo <<<'echo sudo >>"$CALLS"; exec "$@"'
ROOT=1000 setup build
is "not root: through sudo" "$(head -n 1 "$CALLS")" "sudo"

rm "$tools/sudo"
if ! PATH=/usr/bin:/bin command -v sudo >/dev/null; then
    ROOT=1000 setup build
    is "neither root nor sudo: status 1" $? 1
    ok "and the command to give is shown" grep -q 'apt-get install.*libarchive-dev' "$work/out"
    is "and nothing is installed" "$(cat "$CALLS")" ""
fi

is "no package is listed twice" "$(awk '/^[^#]/ { print $2 }' tools/packages.txt | sort | uniq -d)" ""
finish
