# SPDX-License-Identifier: Apache-2.0
# Functions that the scripts share. A script sources this file first; it then handles -h and --help. $top is the project's
# directory, from wherever and by whatever link a script is called. $me is the script's name in messages.
# shellcheck shell=bash

top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
me=scripts/$(basename "$(readlink -f "$0")")

# Prints the comment at the head of the script.
usage() {
    local text
    text=$(sed -n '3,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$top/$me")
    printf '%s\n' "$text" 2>/dev/null || {
        echo "$me: cannot write the help text to standard output" >&2
        exit 1
    }
}

# wrong WORDS ...: report a mistake in the arguments, and exit.
wrong() {
    {
        echo "$me: $*"
        echo
        usage
    } >&2
    exit 2
}

# failed_to WORDS ...: report that the script cannot continue, and exit.
failed_to() {
    local left
    echo "$me: cannot $*" >&2
    left=$(df -Pm "$top" 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ "${left:-1000}" -lt 100 ]; then
        echo "$me: only $left MiB are left on the disk of $top; free some space there: you may remove any build directory in it" >&2
    fi
    exit 1
}

# set_up DIRECTORY [MESON OPTION ...]: run meson setup, unless that was done. Show its output only if it fails.
set_up() {
    local directory=$1 output
    shift
    [ ! -f "$directory/build.ninja" ] || return 0
    output=$(meson setup "$directory" "$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        failed_to "set up $directory: see above; scripts/dependencies installs the packages that building needs"
    }
}

# is_above_zero TEXT: true for a number such as 2 or 0.5.
is_above_zero() {
    [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ && $1 =~ [1-9] ]]
}

# compile DIRECTORY [TARGET ...]: build. Show the output only if it fails.
compile() {
    local directory=$1 output
    shift
    output=$(ninja -C "$directory" "$@" 2>&1) || {
        printf '%s\n' "$output" | tail -n 40 >&2
        failed_to "build in $directory: see above"
    }
}

# ----------------------------------------------------------------------------- root file systems of Debian's releases

# can_make_roots: exit if this machine or this user cannot. Sets $mirror, from which they are made.
can_make_roots() {
    PATH=$PATH:/usr/sbin:/sbin
    [ "$(id -u)" -eq 0 ] || failed_to "make root file systems as an ordinary user: run this as root"
    local tool
    for tool in debootstrap apt-get unshare setpriv; do
        command -v $tool >/dev/null || failed_to "make root file systems without $tool: install it (Debian: apt-get install debootstrap util-linux)"
    done
    # shellcheck disable=SC2016 # for apt-get
    mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | awk '$1 == "Debian" { print $2; exit }')
    [ -n "$mirror" ] || failed_to "find a mirror of Debian in this machine's apt sources: run apt-get update, if it is Debian"
}

# apart COMMAND ...: run it in namespaces of mounts and processes of its own, which end with it or with this script, however that ends.
apart() {
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$@" </dev/null &
    wait $!
}

# inside ROOT COMMAND: run a command of bash in a root file system, in the copy of the sources.
inside() {
    # shellcheck disable=SC2016 # for the shell in the namespaces
    apart bash -c 'mount -t proc proc "$1/proc" && mount -t sysfs -o ro sysfs "$1/sys" && mount --rbind /dev "$1/dev" &&
        mount -t tmpfs tmpfs "$1/dev/shm" && cp -L /etc/resolv.conf "$1/etc/resolv.conf" || exit
        exec chroot "$1" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
            bash -c "cd /srv/ersatz && $2"' - "$1" "$2"
}

# make_root RELEASE ROOT: a file beside the root says that it is whole.
make_root() {
    local release=$1 root=$2 newer
    [ ! -e "$root.made" ] || return 0
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    apart debootstrap --variant=minbase --include=ca-certificates "${release/experimental/sid}" "$root" "$mirror" || return
    case $release in
    sid) newer=haproxy ;;
    experimental) newer=openssl ;;
    *) newer= ;;
    esac
    if [ -n "$newer" ]; then
        echo "deb $mirror experimental main" >>"$root/etc/apt/sources.list"
        printf 'Package: src:%s\nPin: release a=experimental\nPin-Priority: 600\n' "$newer" >"$root/etc/apt/preferences.d/$newer"
    fi
    # This machine's proxies; and a mirror may be older than its own signature says.
    {
        apt-config dump Acquire | grep -E '^Acquire::https?::Proxy' || true
        echo 'Acquire::Check-Valid-Until "false";'
    } >"$root/etc/apt/apt.conf.d/99ersatz"
    touch "$root.made"
}

# copy_sources ROOT: the builds there stay. A file that has changed is new there: its own time may lie before the last build's.
copy_sources() {
    local new=$1/srv/new kept
    rm -rf "$new"
    mkdir -p "$new" "$1/srv/ersatz"
    tar --exclude='./build*' --exclude=./.git -cf - . | tar -xmf - -C "$new" || return
    (cd "$new" && find . -type f -exec sh -c 'for file; do ! cmp -s "$file" "../ersatz/$file" || touch -r "../ersatz/$file" "$file"; done' - {} +)
    for kept in "$1"/srv/ersatz/build*; do
        [ ! -e "$kept" ] || mv "$kept" "$new"
    done
    rm -rf "$1/srv/ersatz"
    mv "$new" "$1/srv/ersatz"
}

case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
esac
