# SPDX-License-Identifier: Apache-2.0
# What the drives of real programs share. Each drive gets the module's path in ERSATZ_MODULE, works in a directory of its own
# that goes away, keeps to loopback, and ends what it started by its process id.
# shellcheck shell=bash
set -euo pipefail

: "${ERSATZ_MODULE:?the path of the module under test}"

work=$(mktemp -d)
started=()
unset ERSATZ_CTRL
# Debian's servers are where an ordinary user's PATH does not go.
PATH=$PATH:/usr/sbin:/sbin

# is_over PID: this shell has no such child any more.
is_over() {
    ! grep -qsx "PPid:[[:space:]]*$$" "/proc/$1/status"
}

finish() {
    local status=$?
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        # A server whose card is held waits for it; so does ersatz-run for such a server.
        wait_until 10 is_over "$pid" || { pkill -KILL -P "$pid" || true; kill -KILL "$pid" 2>/dev/null || true; }
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# start LOG COMMAND ...: in the background, with $input as its standard input; its process id is in $last. What it says on
# standard error goes to LOG.err.
start() {
    local log=$1
    shift
    "$@" >"$log" 2>"$log.err" <"${input:-/dev/null}" &
    last=$!
    started+=("$last")
}

# stop PID: asks it to end, and waits.
stop() {
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# shellcheck source=scripts/ports.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/ports.sh"
take_ports

# seconds N: so many, or as many times more as TIMEOUT_MULTIPLIER in the environment says. For what else would end too early on a busy machine.
seconds() {
    local by=${TIMEOUT_MULTIPLIER:-1}
    by=${by%%.*}
    echo $(($1 * (${by:-0} > 1 ? by : 1)))
}

# wait_until SECONDS COMMAND ...: until the command succeeds, at most so long. Its status: whether it did.
wait_until() {
    local left=$(($1 * 20))
    shift
    until "$@"; do
        [ $((left--)) -gt 0 ] || return 1
        sleep 0.05
    done
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# wait_for_port PORT PID: until it listens.
wait_for_port() {
    for _ in $(seq 1200); do
        kill -0 "$2" 2>/dev/null || fail "the server ended before it listened: $(cat ./*.err)"
        if is_listening "$1"; then
            return
        fi
        sleep 0.05
    done
    fail "nobody listens on $1"
}

# in_flight SOCKET NUMBER: the card that has this control socket has at least so many requests.
in_flight() {
    local got
    got=$("$ERSATZCTL" "$1" get_num_requests_in_flight 0 2>/dev/null) && [ "$got" -ge "$2" ]
}

# was_found SOCKET FINDING: its check has seen this mistake.
was_found() {
    "$ERSATZCTL" "$1" findings 2>/dev/null | jq -e ".counts.$2 // 0 | . > 0" >/dev/null
}

# measured ENOUGH COMMAND ...: openssl speed, in a command in which the word SECONDS says for how long; at first for 1 s. The clock goes on
# while the machine is busy with others: as long as ENOUGH, a line of bash, is not true afterwards, again, for twice as long, up to 32 s.
# What is missing then, the test says.
measured() {
    local enough=$1 time
    shift
    for time in 1 2 4 8 16 32; do
        "${@/#SECONDS/$time}"
        ! eval "$enough" || return 0
        echo "  within $time s, not enough"
    done
}

# has NAME NUMBER FILE ...: the statistics are there, and the number is at least so high.
has() {
    local name=$1 wanted=$2
    shift 2
    [ -e "$1" ] && [ "$(stat_of "$name" "$@")" -ge "$wanted" ]
}

# stat_of NAME FILE ...: a number of the card's statistics; for several files their sum.
stat_of() {
    local name=$1
    shift
    jq -s --arg name "$name" 'map(.[$name] // .requests[$name] // error("no \($name)")) | add' "$@"
}

# at_least WHAT NUMBER FILE ...
at_least() {
    local name=$1 wanted=$2 got
    shift 2
    [ -e "$1" ] || fail "no statistics in $1: the engine did not load"
    got=$(stat_of "$name" "$@")
    echo "  $name: $got"
    [ "$got" -ge "$wanted" ] || fail "$name is $got, at least $wanted expected"
}

# at_most WHAT NUMBER FILE ...
at_most() {
    local name=$1 wanted=$2 got
    shift 2
    got=$(stat_of "$name" "$@")
    [ "$got" -le "$wanted" ] || fail "$name is $got, at most $wanted expected"
}

# exactly WHAT NUMBER FILE ...
exactly() {
    local name=$1 wanted=$2 got
    shift 2
    got=$(stat_of "$name" "$@")
    [ "$got" -eq "$wanted" ] || fail "$name is $got, expected $wanted"
}

# speed_key BITS: the RSA key to ask openssl speed for. From 3.5 on it also measures KEM and signatures under that name, with a key of
# its own for each job: to generate 128 of them takes minutes, unless they are short.
speed_key() {
    local version
    version=$(openssl version | cut -d' ' -f2)
    if [ "$(printf '%s\n' 3.5 "$version" | sort -V | head -n 1)" = 3.5 ]; then echo rsa1024; else echo "rsa$1"; fi
}

# provider_configuration [NAME=VALUE ...]: an openssl.cnf with the module as a provider, asked first, and these settings.
provider_configuration() {
    printf '%s\n' "openssl_conf = init" "[init]" "providers = providers" "alg_section = algorithms" "[providers]" \
        "ersatz = card" "default = libcrypto" "[libcrypto]" "activate = 1" "[algorithms]" \
        "default_properties = ?provider=ersatz" "[card]" "module = $ERSATZ_MODULE" "activate = 1" "$@"
}

# engine_configuration [NAME=VALUE ...]: one with the module as the engine for everything.
engine_configuration() {
    printf '%s\n' "openssl_conf = init" "[init]" "engines = engines" "[engines]" "ersatz = card" "[card]" \
        "dynamic_path = $ERSATZ_MODULE" "$@" "default_algorithms = ALL" "init = 1"
}

# configuration: one for the door of the module that DOOR names, engine if it names none.
configuration() {
    "${DOOR:-engine}_configuration"
}

# recipe_file FILE PORT: a configuration of docs/clients.md, with another port, in the working directory. HAProxy's timeouts are longer:
# clients may be slow where others use the machine. $patience: other seconds.
recipe_file() {
    sed -E "s/8443/$2/; s/^( *timeout [a-z]+) (5|10)s$/\1 $(seconds "${patience:-60}")s/" "$(dirname "${BASH_SOURCE[0]}")/../../docs/clients/$1" >"$(basename "$1")"
}

make_key_and_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 30 \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    openssl pkey -in "$work/key.pem" -pubout -out "$work/public.pem"
    cat "$work/key.pem" "$work/cert.pem" >"$work/both.pem"
}

# descriptors PID: what its open descriptors are, by kind: "eventfd 3", "socket 2", ...
descriptors() {
    find "/proc/$1/fd" -mindepth 1 -printf '%l\n' | sed -E 's/:?\[[0-9]+\]$//; s/^anon_inode:\[?([a-z_]*)\]?/\1/' | sort | uniq -c
}

# sleeps PID: all its threads do, so it has done what there was to do. One that is stopped, or waits for a core, does not sleep.
sleeps() {
    ! grep -h '^State:' /proc/"$1"/task/*/status | grep -qv 'S (sleeping)'
}

# settle PID FILE: waits until its descriptors have stayed the same for half a second in which it slept, and writes them to FILE.
settle() {
    local same=0
    descriptors "$1" >"$2"
    for _ in $(seq 1200); do
        sleep 0.05
        descriptors "$1" >"$2.now"
        if sleeps "$1" && cmp -s "$2" "$2.now"; then
            same=$((same + 1))
            [ "$same" -lt 10 ] || return 0
        else
            same=0
            mv "$2.now" "$2"
        fi
    done
    fail "the descriptors of $1 do not settle"
}

# settle_as PID FILE: waits until its descriptors are as in FILE.
settle_as() {
    for _ in $(seq 1200); do
        kill -0 "$1" 2>/dev/null || fail "$1 is gone: $(tail -n 3 ./*.err)"
        descriptors "$1" >"$2.now"
        if cmp -s "$2" "$2.now"; then
            return
        fi
        sleep 0.05
    done
    fail "descriptors before and now: $(diff "$2" "$2.now")"
}

resident_kb() {
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"
}

# The processor time that a process has used so far, in hundredths of a second.
used_ticks() {
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# is_idle PID: it uses no processor time to speak of, sooner or later. A wake-up that was left over makes an event loop spin for
# ever; what is only late to come to rest does not fail.
is_idle() {
    local before
    for _ in $(seq 20); do
        before=$(used_ticks "$1")
        sleep 1
        [ $(($(used_ticks "$1") - before)) -ge 25 ] || return 0
    done
    fail "$1 is busy with nothing to do"
}

# report OPERATIONS LEFT ORPHANS: for scripts/soak, which names a file in REPORT; LEFT: connections that were left early. What was
# lost in descriptors or threads has ended the drive by now.
report() {
    [ -z "${REPORT:-}" ] || jq -n --argjson operations "$1" --argjson injected "$2" --argjson orphans "$3" \
        '{$operations, $injected, $orphans, errors: 0, descriptors: 0, threads: 0, memory: 0}' >"$REPORT"
}

# none_in_flight FILE: every request that the card accepted was computed.
none_in_flight() {
    jq -e '(.requests | add) == .completed' "$1" >/dev/null || fail "requests are still in flight: $(cat "$1")"
}
