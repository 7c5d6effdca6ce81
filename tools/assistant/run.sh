#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/assistant/run.sh     (make run calls it, once everything is built)
# Verifies the assistant's bundle, lets the assistant answer a few commands, then those of standard input.
set -euo pipefail

moxie=${MOXIE:-build/moxie} assistant=${ASSISTANT:-build/assistant/assistant}
bundle=${BUNDLE:-tools/assistant/home.moxie} key=${KEY:-tools/assistant/home.pub.pem}
samples=(
    "turn on the kitchen lamp"
    "turn the bedroom lamp down to thirty percent at quarter past seven"
    "could you set a timer for ten minutes for the pasta please"
    "open the blinds in the office and then play some jazz"
    "is the front door locked"
    "who wrote hamlet"
)

"$moxie" verify "$bundle" --pub "$key" >&2

# one process answers them all; each command is shown with its answer
coproc ANSWERS { "$assistant"; }
for command in "${samples[@]}"; do
    printf '%s\n' "$command" >&"${ANSWERS[1]}"
    if ! read -r answer <&"${ANSWERS[0]}"; then
        echo "run: the assistant ended without an answer" >&2
        exit 1
    fi
    printf '> %s\n' "$command" >&2
    printf '%s\n' "$answer"
done
to=${ANSWERS[1]} pid=$ANSWERS_PID
exec {to}>&-
wait "$pid"

exec "$assistant"
