# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What script tests share: source it, call ok or is for each check, end with `finish`. TAP on standard output.
checks=0
bad=0

# ok NAME COMMAND...: the command succeeds
ok() {
    local name=$1
    shift
    checks=$((checks + 1))
    if "$@"; then
        echo "ok $checks - $name"
    else
        bad=$((bad + 1))
        echo "not ok $checks - $name"
        echo "#   failed: $*"
    fi
}

# is NAME ACTUAL EXPECTED: the two texts are equal
is() {
    checks=$((checks + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $checks - $1"
    else
        bad=$((bad + 1))
        echo "not ok $checks - $1"
        printf '%s\n' "got:" "$2" "expected:" "$3" | sed 's/^/#   /'
    fi
}

# skip_all REASON: ends the script
skip_all() {
    echo "1..1"
    echo "ok 1 - all # SKIP $1"
    exit 0
}

finish() {
    echo "1..$checks"
    [ "$bad" -eq 0 ]
    exit
}
