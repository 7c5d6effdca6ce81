#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: tests/run_tests.sh BUILD TEST...     (make test and make test-one call it, in the root of the repository)
# Runs C programs, tests/test_*.py and tests/test_*.sh, some at once (TEST_JOBS=n, one per CPU unless given). All report in TAP
# ("ok 1 - name", "not ok 2 - name"). Tells which failed and what to do next; the last line is "N passed, N failed".
set -u

build=$1
shift
logs=$build/tests/logs
home=$PWD/$build/tests/home
mkdir -p "$logs" "$home"

export MOXIE_BUILD=$build MOXIE=$build/moxie
export CMOCKA_MESSAGE_OUTPUT=tap
export PYTHON=${PYTHON:-python3} PYTHONDONTWRITEBYTECODE=1
# the user's own keys, models and kernel caches stay out of reach
export HOME=$home XDG_CONFIG_HOME=$home/config XDG_CACHE_HOME=$home/cache XDG_DATA_HOME=$home/data
# each kernel is compiled once, as the tool has it (tools/moxie.c)
export POCL_WORK_GROUP_SPECIALIZATION=0

# Runs one test; leaves NAME.out (TAP), NAME.err and NAME.sum ("passed failed skipped seconds") in $logs.
run_one() {
    local test=$1 name log start status passed failed skipped planned
    name=$(basename "$test")
    log=$logs/$name
    start=$(date +%s.%N)
    case $test in
    *.py) timeout 900 "$PYTHON" tests/tap.py "$test" ;;
    *.sh) timeout 900 bash "$test" ;;
    *) timeout 900 "./$test" ;;
    esac >"$log.out" 2>"$log.err" </dev/null
    status=$?
    # cmocka says "not ok 3 # SKIP name", unittest and the scripts "ok 3 - name # SKIP why"
    skipped=$(grep -cE '^(not )?ok .*# SKIP' "$log.out")
    passed=$(grep '^ok ' "$log.out" | grep -vc '# SKIP')
    failed=$(grep '^not ok ' "$log.out" | grep -vc '# SKIP')
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p;' "$log.out" | head -n 1)
    # a program that died on the way: what it did not report has failed
    if [ -n "$planned" ] && [ $((passed + failed + skipped)) -lt "$planned" ]; then
        failed=$((planned - passed - skipped))
        echo "ended with status $status after $((passed + skipped)) of $planned tests" >>"$log.err"
    elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
        echo "ended with status $status" >>"$log.err"
    elif [ $((passed + failed + skipped)) -eq 0 ]; then
        failed=1
        echo "reported no test at all" >>"$log.err"
    fi
    echo "$passed $failed $skipped" >"$log.sum"
    printf '  %-6s %-36s %4d passed%s%s  %6.1f s\n' "$([ "$failed" -eq 0 ] && echo ok || echo FAILED)" "$name" "$passed" \
        "$([ "$failed" -eq 0 ] || echo ", $failed failed")" "$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")" \
        "$(echo "$(date +%s.%N) $start" | awk '{ print $1 - $2 }')"
}
export -f run_one
export logs

rm -f "$logs"/*
printf '%s\n' "$@" | xargs -r -P "${TEST_JOBS:-$(nproc)}" -I{} bash -c 'run_one "$1"' run_one {}

passed=0 failed=0 skipped=0
for test in "$@"; do
    name=$(basename "$test")
    read -r p f s <"$logs/$name.sum" || { p=0 f=1 s=0; echo "could not be run" >"$logs/$name.err"; }
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" -eq 0 ] && continue
    echo
    echo "FAILED: $name"
    awk '/^(not )?ok / { show = /^not/ && !/# SKIP/ } show { print "    " $0 }' "$logs/$name.out" 2>/dev/null | head -n 60
    tail -n 12 "$logs/$name.err" 2>/dev/null | sed 's/^/    /'
    echo "  whole output: $logs/$name.out and .err"
    echo "  run it alone: make test-one T=${name%%.*}"
done
[ "$skipped" -eq 0 ] || { echo; echo "skipped: $skipped"; grep -hE '^(not )?ok .*# SKIP' "$logs"/*.out | sed -E 's/^(not )?ok [0-9]* */    /'; }
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
