# SPDX-License-Identifier: Apache-2.0
# Mode "tls": full handshakes with HAProxy as the server: without the card, and with it and ssl-mode-async. In three ways, by the
# work's name:
#   tls1.3-rsa2048         server and client on all cores, as many handshakes under way as there are jobs. What each of them costs the
#                          server counts here; how many there are, and how long they take, depends on the client's share of the cores
#   tls1.3-rsa2048-apart   the same, with the server on one half of the cores and the client on the other: how many the server can do
#   tls1.3-rsa2048-steady  on separate cores; handshakes begin at a fixed rate, 0.7 of what plain OpenSSL can do: how long they take at
#                          equal load
# The client has eight processes for each of its cores, at most 64. One process takes what a batch of the card has woken in one go, answers it, and
# only then begins new handshakes: they march in step, and client and server wait for each other.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

make_certificate() {
    [ -e "$work/rsa$1.pem" ] || {
        openssl req -x509 -key "tests/vectors/keys/$1.pem" -subj /CN=localhost -days 30 -out "$work/certificate.pem" 2>"$work/log" &&
            cat "tests/vectors/keys/$1.pem" "$work/certificate.pem" >"$work/rsa$1.pem"
    }
}

# The cores that this script may use, one a line.
cores() {
    taskset -cp $$ | sed 's/.*: //' | tr , '\n' | awk -F- '{ for (c = $1; c <= $NF; c++) print c }'
}

# half first|second: of the cores, as taskset takes them. If there is only one, it is in both.
half() {
    cores | awk -v which="$1" '
        { core[NR] = $1 }
        END {
            middle = NR > 1 ? int(NR / 2) : 1
            from = which == "first" || NR == 1 ? 1 : middle + 1
            to = which == "first" ? middle : NR
            for (i = from; i <= to; i++) printf "%s%s", (i > from ? "," : ""), core[i]
            print ""
        }'
}

# card_configuration: an OPENSSL_CONF for the card's door.
card_configuration() {
    if [ "$door" = engine ]; then
        cat <<CNF
openssl_conf = openssl_init
[openssl_init]
engines = engines
[engines]
ersatz = ersatz
[ersatz]
dynamic_path = $ERSATZ_MODULE
default_algorithms = ALL
init = 1
CNF
    else
        provider_configuration ersatz "module = $ERSATZ_MODULE"
    fi
}

# start_haproxy PORT BITS VARIANT CORES: its process id is in $server.
start_haproxy() {
    local mode_line='' control="INIT_ENGINE;STATS_FILE:$work/stats.json"
    [ "$3" = plain ] || mode_line=ssl-mode-async
    [ "$3" != fastest ] || control+=';OFFLOAD:fastest'
    cat >"$work/haproxy.cfg" <<CFG
global
    $mode_line
    nbthread $(count "$4")
    maxconn 2000
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend tls
    bind 127.0.0.1:$1 ssl crt $work/rsa$2.pem no-tls-tickets
    http-request return status 200
CFG
    : >"$work/openssl.cnf"
    [ "$3" = plain ] || card_configuration >"$work/openssl.cnf"
    # HAProxy forbids itself threads once it runs, which for an ordinary user is too early: INIT_ENGINE.
    ERSATZ_CTRL=$control OPENSSL_CONF=$work/openssl.cnf taskset -c "$4" haproxy -db -f "$work/haproxy.cfg" >"$work/log" 2>&1 </dev/null &
    server=$!
    for _ in $(seq 200); do
        ! is_listening "$1" || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    echo "scripts/bench: HAProxy does not listen: $(tail -3 "$work/log")" >&2
    return 1
}

# count LIST: how many there are, with commas between them.
count() {
    tr , '\n' <<<"$1" | wc -l
}

load=0.7 # of plain OpenSSL's rate

# measure_tls WORK VARIANT: WORK is as above; with 1.2 the client encrypts to the server's RSA key.
measure_tls() {
    local port version=${1#tls} bits=${1#*-rsa} servers clients connections=${jobs:-64} rate=() in_place processes
    version=${version%%-*}
    bits=${bits%%-*}
    servers=$(cores | paste -sd,)
    clients=$servers
    [[ $1 != *-*-* ]] || { servers=$(half first); clients=$(half second); }
    processes=$((8 * $(count "$clients")))
    make_certificate "$bits" || return
    if [[ $1 = *-steady ]]; then
        # That of the same round, or now; the card has plain OpenSSL's.
        [ "$2" != plain ] || [ -e "$work/rate-${1%-steady}" ] || measure_tls "${1%-steady}-apart" plain >/dev/null || return
        rate=("$(awk -v part=$load '{ print part * $1 }' "$work/rate-${1%-steady}")")
        connections=1024 # as many as come
    fi
    [ -n "${ports:-}" ] || take_ports || return
    port=$(free_port)
    rm -f "$work/stats.json"
    start_haproxy "$port" "$bits" "$2" "$servers" || return
    taskset -c "$clients" "$programs/handshakes" "$port" "$version" AES128-GCM-SHA256 "$connections" "$seconds" "$server" \
        $((processes < 64 ? processes : 64)) "${rate[@]}" >"$work/out" || return
    [[ $1:$2 != *-steady:fastest ]] || rm "$work/rate-${1%-steady}"
    [[ $1:$2 != *-apart:plain ]] || awk '$1 == "rate" { print $2 }' "$work/out" >"$work/rate-${1%-apart}"
    kill -USR1 "$server"
    wait "$server" || { echo "scripts/bench: HAProxy ended badly: $(tail -3 "$work/log")" >&2; server=; return 1; }
    server=
    if [ "$2" != plain ]; then
        # OFFLOAD:fastest leaves some to the calling core.
        in_place=0
        [ "$2" != fastest ] || in_place=$(stat_of inline)
        [ $(($(stat_of rsa_priv) + in_place)) -ge "$(awk '$1 == "handshakes" { print $2 }' "$work/out")" ] ||
            not_served "$1" "$(stat_of rsa_priv) private operations" || return
        echo "batch $(awk -v n="$(stat_of completed)" -v batches="$(stat_of batches)" 'BEGIN { print batches ? n / batches : 0 }')" >>"$work/out"
    fi
    awk -v w="$1" -v v="$2" -v OFS='\t' '{ print w, v, $1, $2 }' "$work/out"
}

# tls_table TSV: for people.
tls_table() {
    awk -F'\t' -v OFS='\t' '
        NR == 1 { print "handshake", "server", "per second", "of plain", "median", "99th percentile", "server CPU each", "of plain", "client CPU each", "operations a batch"; next }
        { print $1, $2, sprintf("%.0f", $3), sprintf("%.2f", $4), sprintf("%.1f ms", $5 / 1000), sprintf("%.1f ms", $6 / 1000), sprintf("%.0f µs", $7),
              sprintf("%.2f", $8), sprintf("%.0f µs", $9), $10 == "-" ? "" : sprintf("%.1f", $10) }' "$1"
}

plan_tls() {
    local works="$*" handshake
    if [ -z "$works" ]; then
        for handshake in tls1.3-rsa2048 tls1.2-rsa2048 tls1.3-rsa4096; do
            works+=" $handshake $handshake-apart $handshake-steady"
        done
    fi
    plan_all tls "$works" "plain card fastest"
}

show_tls() {
    summarize "$results/tls.raw.tsv" "$results/tls.summary.tsv"
    lines_with "rate rate/plain median_us p99_us cpu_us cpu_us/plain client_us batch" "$results/tls.summary.tsv" >"$results/tls.tsv"
    here
    tell_tls
    tls_table "$results/tls.tsv" | as_text
    tell_cleanliness "$results/tls.summary.tsv"
    plot tls "$results/tls.svg" "$results/tls.tsv"
}

tell_tls() {
    echo "HAProxy with a thread on each of its cores; a client of eight processes for each of its cores keeps ${jobs:-64} handshakes under way,"
    echo "each on a new connection. apart: HAProxy on core $(half first), the client on core $(half second). steady: as apart; handshakes begin at"
    echo "random times, at $load of the rate that plain OpenSSL reaches apart. fastest: OFFLOAD:fastest. $rounds rounds of $seconds s"
}

mode_tls() {
    plan_tls "$@"
    run_plan "$results/tls.raw.tsv"
    show_tls
}
