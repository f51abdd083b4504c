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

case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
esac
