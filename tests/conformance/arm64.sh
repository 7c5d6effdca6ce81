#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: tests/conformance/arm64.sh make FOLDER           a Debian root for arm64 in FOLDER/root, and the tool in it
#        tests/conformance/arm64.sh run FOLDER ARGS...    moxie ARGS there, under qemu; files by their names in FOLDER/root/moxie
# Status 77: something is missing; the last line says what.
set -eu

lacking() {
    echo "arm64: $1"
    exit 77
}
command=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
root=$folder/root
shift 2

[ "$(id -u)" -eq 0 ] || lacking "root rights are missing (chroot, mounts)"
for tool in debootstrap aarch64-linux-gnu-gcc qemu-aarch64-static unshare; do
    command -v $tool >/dev/null || lacking "$tool is missing"
done

make_root() {
    [ ! -e "$folder/root.made" ] || return 0
    debootstrap --foreign --arch=arm64 --variant=minbase \
        --include=libc6-dev,pocl-opencl-icd,ocl-icd-opencl-dev,libmbedtls-dev,libarchive-dev,libjansson-dev,libutf8proc-dev,libclblast-dev \
        bookworm "$root" http://deb.debian.org/debian >"$folder/debootstrap.log" 2>&1 || lacking "debootstrap failed, see $folder/debootstrap.log"
    # not configured, only unpacked: nothing in it is a service
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    touch "$folder/root.made"
}

make_tool() {
    mkdir -p "$root/moxie"
    make -s -j"$(nproc)" BOARD=arm64-pocl ROOT="$root" B="$folder/build" tool
    cp "$folder/build/moxie" "$root/moxie/"
}

# qemu for every arm64 program, opened now (flag F) so that it is found in the root too.
register() {
    local misc=/proc/sys/fs/binfmt_misc
    [ -e $misc/register ] || mount -t binfmt_misc binfmt_misc $misc 2>/dev/null || lacking "binfmt_misc cannot be mounted"
    [ ! -e $misc/qemu-aarch64 ] || return 0
    printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' \
        >$misc/register || lacking "qemu-aarch64-static cannot be registered with binfmt_misc"
}

case $command in
make)
    make_root
    make_tool
    register
    ;;
run)
    # mounts in a name space of their own: they are gone with the last process
    # shellcheck disable=SC2016
    exec unshare -m sh -c 'root=$1; shift
        for place in proc sys dev; do mount --bind /$place $root/$place || exit 77; done
        exec chroot $root env -i HOME=/moxie XDG_CONFIG_HOME=/moxie/config XDG_CACHE_HOME=/moxie/cache POCL_CACHE_DIR=/moxie/pocl \
            PATH=/usr/bin:/bin sh -c "mkdir -p /moxie/pocl && cd /moxie && exec ./moxie \"\$@\"" sh "$@"' sh "$root" "$@"
    ;;
*)
    echo "arm64: make or run?" >&2
    exit 2
    ;;
esac
