# SPDX-License-Identifier: Apache-2.0
# What the tests of ersatz-run hunt share.
# shellcheck shell=bash
source "$(dirname "$0")/ersatz_run.sh"
: "${HUNTED_PROGRAM:?the program with the mistakes}"
cd "$work" || exit
mkdir temporary
export TMPDIR=$work/temporary
# A busy machine is slow: no round comes near this limit.
hunt=("${ersatz_run[0]}" hunt "${ersatz_run[@]:1}" --limit 300 --seed 1 --baseline 1)

# hunt NAME WANTED OPTION ... -- COMMAND ...: with its report in NAME.report/.
hunt() {
    local name=$1 wanted=$2 status=0
    shift 2
    "${hunt[@]}" --report "$name.report" "$@" >"$name.out" 2>"$name.err" || status=$?
    [ "$status" -eq "$wanted" ] || fail "$name: status $status, expected $wanted: $(tail -5 "$name.err")"
    [ ! -e "$name.report/hunt.json" ] || cp "$name.report/hunt.json" "$name.json"
}

# repeats NAME WANTED: the printed line, typed into a shell.
repeats() {
    local status=0
    jq -r '.failures[0].line' "$1.json" >line
    grep -qxF "    repeat: $(cat line)" "$1.err" || fail "$1: the line is not printed"
    bash -c "$(cat line)" >line.out 2>line.err || status=$?
    [ "$status" -eq "$2" ] || fail "$1: the line ended with $status, expected $2: $(cat line line.err)"
}

# all_but FAULT ...: options that leave out all others.
all_but() {
    "${ersatz_run[0]}" --list | awk '/^Faults/ { in_list = 1; next } /^$/ { in_list = 0 } in_list { print $1 }' | grep -vxE "${*// /|}" |
        sed 's/^/--without /'
}
