# SPDX-License-Identifier: Apache-2.0
# What the scripts share. Sourced first, it answers -h and --help; $top is the project's directory, wherever and by whatever
# link a script is called, and $me what the script is called in messages.
# shellcheck shell=bash

top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
me=scripts/$(basename "$(readlink -f "$0")")

# The comment at the script's head.
usage() {
    sed -n '3,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$top/$me"
}

# wrong WORDS ...: the script was called wrongly.
wrong() {
    {
        echo "$me: $*"
        echo
        usage
    } >&2
    exit 2
}

# failed_to WORDS ...: it cannot go on.
failed_to() {
    local left
    echo "$me: cannot $*" >&2
    left=$(df -Pm "$top" 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ "${left:-1000}" -lt 100 ]; then
        echo "$me: only $left MiB are left on the disk of $top; make room there: any build directory in it may be removed" >&2
    fi
    exit 1
}

# set_up DIRECTORY [MESON OPTION ...]: once. What meson says is shown if it fails.
set_up() {
    local directory=$1 output
    shift
    [ ! -f "$directory/build.ninja" ] || return 0
    output=$(meson setup "$directory" "$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        failed_to "set up $directory: see above, and scripts/dependencies for what building needs"
    }
}

# is_above_zero TEXT: a number as 2 or 0.5.
is_above_zero() {
    [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ && $1 =~ [1-9] ]]
}

# compile DIRECTORY [TARGET ...]: the same.
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
