#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What libmoxie.a takes from the system and shows to the program that links it.
. tests/check.sh
case $MOXIE_BUILD in */san*) skip_all "a build with sanitizers is not what is delivered" ;; esac

library=$MOXIE_BUILD/libmoxie.a
needed=$(nm -u "$library" | awk 'NF == 2 { print $2 }' | sort -u)

# used PATTERN: needed symbols that match it whole
used() {
    echo "$needed" | grep -xE "$1"
}

is "no allocator" "$(used '(m|c|re|v|pv)alloc(array)?|free|cfree|posix_memalign|aligned_alloc|memalign|alloca|strn?dup|v?asprintf|getline|getdelim|_Zn.*|_Zd.*')" ""
is "no stdio" "$(used '_*(v?(f|d|s|sn)?w?printf|v?(f|s)?scanf)(_chk)?|puts|fputs|putchar|putc|fputc|getc|fgetc|getchar|fgets|gets|perror|stdin|stdout|stderr|f(open|close|read|write|flush|seek|tell|error|eof|dopen|reopen)(64|o|_unlocked)?|_*f(read|gets)_chk|_IO_.*|psignal|psiginfo|syslog')" ""
is "no end of the program" "$(used '_*exit|_Exit|quick_exit|abort|raise|kill|__assert_fail|atexit|at_quick_exit|__cxa_atexit|longjmp|_*siglongjmp')" ""
is "no environment, locale or error text" "$(used '(secure_)?getenv|setlocale|strerror(_r)?|__xpg_strerror_r')" ""
is "no floating-point function but correctly rounded ones" \
    "$(used '(exp|exp2|expm1|log|log2|log10|log1p|pow|sin|cos|tan|tanh|erf|cbrt|hypot|sinh|cosh)f?l?')" ""
is "no symbol of mbedTLS or utf8proc" "$(used '(mbedtls|psa|utf8proc|mx_tp)_.*')" ""
is "every internal reference is resolved" "$(used '(mx|pk|moxie)_.*')" ""
is "only moxie_ symbols are public" "$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -v '^moxie_')" ""

# The public interface has to be enough for the tool; what looks behind it stands in twin/.
is "the tool calls nothing internal" "$(nm -u "$MOXIE_BUILD"/obj/tools/*.o | awk 'NF == 2 { print $2 }' | grep '^mx_' | sort -u)" ""

# What the public headers declare exists, and nothing else does.
declared=$(cat platform/moxie*.h opencl/moxie*.h runtime/moxie*.h 2>/dev/null | tr '\n' ' ' |
    sed 's:/\*:\n&:g; s:\*/:&\n:g' | grep -v '^/\*' | grep -oE '\bmoxie_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
is "the public headers declare exactly the public functions" \
    "$(nm -g --defined-only "$library" | awk '$2 == "T" { print $3 }' | sort -u)" "$declared"
finish
