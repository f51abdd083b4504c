# SPDX-License-Identifier: Apache-2.0
# What the tests of ersatz-run share.
# shellcheck shell=bash
source "$(dirname "$0")/lib.sh"

# A copy of the module: by its path nothing_is_left() knows what this test has left from what others leave that run beside it.
cp "$ERSATZ_MODULE" "$work/ersatz.so"
ERSATZ_MODULE=$work/ersatz.so

# ersatz-run through the door that DOOR names: provider, or engine, which it chooses by itself where there are engines.
ersatz_run=("${ERSATZ_RUN:?the program under test}" --module "$ERSATZ_MODULE")
[ "${DOOR:-engine}" = engine ] || ersatz_run+=(--door "$DOOR")

# run NAME WANTED-STATUS OPTION ... -- COMMAND ...: with the report as JSON in NAME.json.
run() {
    local name=$1 wanted=$2 status=0
    shift 2
    "${ersatz_run[@]}" --json --report "$name.json" --trace "$name.trace" "$@" >"$name.out" 2>"$name.err" || status=$?
    [ "$status" -eq "$wanted" ] || fail "$name: status $status, expected $wanted: $(tail -5 "$name.err")"
}

# holds NAME EXPRESSION: about the report.
holds() {
    jq -e "$2" "$1.json" >/dev/null || fail "$1: not so: $2: $(jq -c 'del(.processes)' "$1.json") $(tail -3 "$1.err")"
}

# Of this copy of the module.
nothing_is_left() {
    local directory
    for directory in /dev/shm/ersatz-run-* "$work"/ersatz-run-*; do
        [ "$(readlink "$directory/engines/ersatz.so")" != "$ERSATZ_MODULE" ] || fail "$directory was left"
    done
}

# serve NAME OPTION ... -- COMMAND ...: like run, in the background; $last is ersatz-run, $port where it is to listen.
serve() {
    local name=$1
    shift
    start "$name.out" env --default-signal=INT "${ersatz_run[@]}" --json --report "$name.json" --trace "$name.trace" "$@"
    server=$last
    wait_for_port "$port" "$server"
}

# ended NAME WANTED: waits for what serve started.
ended() {
    local status=0
    wait "$server" || status=$?
    [ "$status" -eq "$2" ] || fail "$1: status $status, expected $2: $(tail -5 "$1.out.err")"
}

# ask_until_late NAME: asks s_server -www, which serve NAME --control $work/card.sock has started, for pages until the check has seen it sleep
# while its job could go on (docs/findings.md). If the card got no core meanwhile, the job was not ready while it slept.
ask_until_late() {
    for _ in $(seq 60); do
        curl -sk "https://127.0.0.1:$port/" >answer || fail "no answer: $(cat "$1.out.err")"
        ! was_found "$work/card.sock" late_answer || return 0
    done
    fail "no late answer: $("$ERSATZCTL" "$work/card.sock" findings)"
}

ask() {
    for _ in 1 2 3; do
        curl -sk "https://127.0.0.1:$port/" >answer || fail "no answer: $(tail -n 3 ./*.out.err)"
    done
}
