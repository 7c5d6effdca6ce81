#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Includes point only leftwards: platform <- opencl <- runtime <- twin <- tools. What pack writes and runtime reads is in two
# headers that both include: the bundle's format and the compiled tokenizer's. SHA-256, whose fast form is there once, and the
# error codes belong to everybody. The arithmetic is written once, for devices (opencl/kernels/arith.cl); runtime/arith.h compiles
# that very text for the host.
. tests/check.sh

# includes_of FOLDER: "file: included path" of every project header that its files include
includes_of() {
    grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+"' "$1"/*.[ch] 2>/dev/null |
        sed -E 's/:[^"]*"/: /; s/"$//'
}

# wrong_includes FOLDER ALLOWED-PATTERN: those that the layer may not have
wrong_includes() {
    includes_of "$1" | grep -vE ": ($2)$"
}

is "platform includes only platform" "$(wrong_includes platform 'platform/[a-z0-9_]+\.h')" ""
is "opencl includes only platform and opencl" "$(wrong_includes opencl '(platform|opencl)/[a-z0-9_]+\.h')" ""
is "runtime includes only platform, opencl and runtime" \
    "$(wrong_includes runtime '(platform|opencl|runtime)/[a-z0-9_]+\.h|opencl/kernels/arith\.cl')" ""
is "pack includes only pack, the two formats, SHA-256 and the error codes" \
    "$(wrong_includes pack 'pack/[a-z0-9_]+\.h|runtime/((bundle|tokenizer)_format|crypto)\.h|platform/moxie_error\.h')" ""
is "twin includes only twin and what it is held against" \
    "$(wrong_includes twin '(platform|opencl|twin)/[a-z0-9_]+\.h|runtime/(arith|bundle_format|crypto|moxie)\.h')" ""
is "tools include no test, and nothing of the library but its public headers and the bundle's format" \
    "$(wrong_includes tools '(pack|twin|tools)/[a-z0-9_]+\.h|(platform|opencl|runtime)/moxie[a-z_]*\.h|runtime/bundle_format\.h')" ""
is "the assistant includes nothing of the project but the public header" \
    "$(wrong_includes tools/assistant 'runtime/moxie\.h|tools/assistant/[a-z]+\.h|assistant_facts\.h')" ""
is "the formats include nothing of the project" "$(includes_of runtime | grep -E '^runtime/(bundle|tokenizer)_format\.h:')" ""

# A header that a program of one's own includes works from C++ too and needs nothing included before it.
for header in platform/moxie*.h opencl/moxie*.h runtime/moxie*.h; do
    [ -e "$header" ] || continue
    ok "$header stands alone in C" "${CC:-gcc}" -std=c11 -Wall -Wextra -pedantic -Werror -I. -fsyntax-only -x c "$header"
    ok "$header stands alone in C++" g++ -std=c++11 -Wall -Wextra -Werror -I. -fsyntax-only -x c++ "$header"
done
finish
