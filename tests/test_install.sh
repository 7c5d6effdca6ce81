#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make install puts everything below DESTDIR; a program outside the repository builds against it through pkg-config.
. tests/check.sh
case $MOXIE_BUILD in */san*) skip_all "a build with sanitizers is not what is delivered" ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# prints FILE COMMAND...: the command succeeds; its output goes to the file
prints() { "${@:2}" >"$1" 2>&1 || sed 's/^/#   /' "$1" | { ! cat; }; }

ok "make install" prints "$work/log" make -s install B="$MOXIE_BUILD" PREFIX=/opt/moxie DESTDIR="$work/image"
root=$work/image/opt/moxie
is "what is installed" "$(cd "$work/image" && find . -type f | sort)" \
    "./opt/moxie/bin/moxie
./opt/moxie/include/moxie.h
./opt/moxie/include/moxie_blas.h
./opt/moxie/include/moxie_clblast.h
./opt/moxie/include/moxie_device.h
./opt/moxie/include/moxie_error.h
./opt/moxie/lib/libmoxie.a
./opt/moxie/lib/libmoxie_clblast.a
./opt/moxie/lib/pkgconfig/moxie.pc
./opt/moxie/share/man/man1/moxie.1
$(for facts in boards/*/facts*; do echo "./opt/moxie/share/moxie/$facts"; done | sort)"
ok "the tool runs from there" prints "$work/help" "$root/bin/moxie" --help
ok "and knows boards there" prints "$work/board" env -C "$work" "$root/bin/moxie" plan --shape tiny --board host-pocl
ok "no placeholder is left" test -z "$(grep -rl '@[A-Z]*@' "$root/lib/pkgconfig" "$root/share")"

cat >"$work/program.c" <<'E2'
#include <moxie.h>
#include <stdio.h>
int main(void) {
    struct moxie_failure f = {0};
    printf("%06x %s\n", (unsigned)moxie_version(), moxie_error_name(MOXIE_ERROR_FILE));
    return moxie_version() == MOXIE_VERSION && f.code == MOXIE_OK ? 0 : 1;
}
E2
export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/image
version=$(pkg-config --modversion moxie)
ok "the version is three numbers" bash -c '[[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]' - "$version"
for compiler in gcc clang; do
    # shellcheck disable=SC2046
    ok "a program builds with $compiler" $compiler -std=c11 -Wall -Wextra -Werror "$work/program.c" \
        $(pkg-config --cflags --libs moxie) -o "$work/program-$compiler"
    ok "and runs" prints "$work/printed" "$work/program-$compiler"
done
# shellcheck disable=SC2086
is "library and pkg-config file agree on the version" "$(cut -d ' ' -f 1 "$work/printed")" \
    "$(printf '%02x%02x%02x' ${version//./ })"

# the page's commands are the tool's
grep -oE '^\.(B|BI) [a-z]+' "$root/share/man/man1/moxie.1" | awk '{ print $2 }' | grep -vx moxie | sort >"$work/in-page"
ok "every command of the man page is in --help" \
    bash -c 'while read -r c; do grep -qw -- "$c" "$2" || { echo "# $c"; exit 1; }; done <"$1"' - "$work/in-page" "$work/help"
sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' "$work/help" | sort >"$work/in-help"
is "and the page has every command of --help" "$(comm -13 <(sort -u "$work/in-page") "$work/in-help")" ""
finish
