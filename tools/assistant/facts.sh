#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/assistant/facts.sh MOXIE BUNDLE PUBLIC_KEY     prints assistant_facts.h
# Sizes of the static memory, as the plan tells them, and the key that the program trusts.
set -eu
moxie=$1 bundle=$2 key=$3
context=384 step=64

plan=$("$moxie" plan "$bundle" --pub "$key" --board host-pocl --context $context --chunk $step --experts --json)
size() { printf '%s\n' "$plan" | sed -n "s/.*\"$1\": *\([0-9][0-9]*\).*/\1/p" | head -n 1; }

cat <<END
/* Made by tools/assistant/facts.sh from $(basename "$bundle") and $(basename "$key"). */
enum { CONTEXT = $context, STEP_TOKENS = $step };
enum { HOST_BYTES = $(size HOST), SESSION_BYTES = $(size SESSION), STEP_BYTES = $(size STEP) };
#define KEY \\
$("$moxie" keygen --as-c --pub "$key" | sed 's/ *$/ \\/')

END
