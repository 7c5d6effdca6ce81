#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/setup.sh GROUP...      (groups: see tools/packages.txt)
# Installs the Debian packages of these groups that are not there yet; does nothing when all are.
set -eu

list=$(dirname "$0")/packages.txt
wanted=$(for group in "$@"; do awk -v group="$group" '$1 == group { print $2 }' "$list"; done)

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system; please install what these Debian packages hold:" $wanted >&2
    exit 0
fi

# a package counts as installed under its own name or as what another one provides
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | awk '$1 == "installed" { print $2 }')
missing=$(printf '%s\n' $wanted | grep -vxF "$installed" || true)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: these Debian packages are missing, and there is no sudo; install them as root:" >&2
        echo "    apt-get install --no-install-recommends" $missing >&2
        exit 1
    fi
    as_root=sudo
fi

echo "setup: installing Debian packages with apt-get:" $missing
export DEBIAN_FRONTEND=noninteractive
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}
# without package lists, or with stale ones, the installation fails and is worth one more try after an update
if ! install; then
    echo "setup: refreshing the package lists with apt-get update, then trying again"
    $as_root apt-get update -q
    install
fi
