# SPDX-License-Identifier: Apache-2.0
# Mode "tls": full handshakes a second, with HAProxy as the server: without the engine, and with it and ssl-mode-async. The client has as
# many processes as there are cores, so that it does not limit the server while a core is idle; what it costs is shown beside the server.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

is_listening() {
    awk -v port="$(printf ':%04X' "$1")" 'substr($2, length($2) - 4) == port && $4 == "0A" { found = 1 } END { exit !found }' /proc/net/tcp
}

# A port of 127.0.0.1 that nobody listens on, below those the kernel gives to clients.
free_port() {
    local port
    while port=$((12000 + RANDOM % 20000)); do
        is_listening "$port" || { echo "$port"; return; }
    done
}

make_certificate() {
    [ -e "$work/rsa$1.pem" ] || {
        openssl req -x509 -key "tests/vectors/keys/$1.pem" -subj /CN=localhost -days 30 -out "$work/certificate.pem" 2>"$work/log" &&
            cat "tests/vectors/keys/$1.pem" "$work/certificate.pem" >"$work/rsa$1.pem"
    }
}

# start_haproxy PORT BITS VARIANT: its process id is in $server.
start_haproxy() {
    local mode_line=
    [ "$3" = plain ] || mode_line=ssl-mode-async
    cat >"$work/haproxy.cfg" <<CFG
global
    $mode_line
    nbthread $(nproc)
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
    cat >"$work/openssl.cnf" <<CNF
openssl_conf = openssl_init
[openssl_init]
engines = engines
[engines]
ersatz = ersatz
[ersatz]
dynamic_path = $ERSATZ_MODULE
STATS_FILE = $work/stats.json
# HAProxy forbids itself threads once it runs, which for an ordinary user is too early.
INIT_ENGINE = EMPTY
default_algorithms = ALL
init = 1
CNF
    [ "$3" != plain ] || : >"$work/openssl.cnf"
    OPENSSL_CONF=$work/openssl.cnf haproxy -db -f "$work/haproxy.cfg" >"$work/log" 2>&1 </dev/null &
    server=$!
    for _ in $(seq 200); do
        ! is_listening "$1" || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    echo "scripts/bench: HAProxy does not listen: $(tail -3 "$work/log")" >&2
    return 1
}

# measure_tls WORK VARIANT: WORK is tls1.3-rsa2048 and the like; with 1.2 the client encrypts to the server's RSA key.
measure_tls() {
    local port version=${1#tls} bits=${1#*-rsa}
    version=${version%%-*}
    make_certificate "$bits" || return
    port=$(free_port)
    rm -f "$work/stats.json"
    start_haproxy "$port" "$bits" "$2" || return
    "$programs/handshakes" "$port" "$version" AES128-GCM-SHA256 "${jobs:-64}" "$seconds" "$server" "$(nproc)" >"$work/out" || return
    kill -USR1 "$server"
    wait "$server" || { echo "scripts/bench: HAProxy ended badly: $(tail -3 "$work/log")" >&2; server=; return 1; }
    server=
    if [ "$2" != plain ]; then
        [ "$(stat_of rsa_priv)" -ge "$(awk '$1 == "handshakes" { print $2 }' "$work/out")" ] ||
            not_served "$1" "$(stat_of rsa_priv) private operations" || return
        echo "batch $(awk -v n="$(stat_of completed)" -v batches="$(stat_of batches)" 'BEGIN { print n / batches }')" >>"$work/out"
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

mode_tls() {
    local works="${*:-tls1.3-rsa2048 tls1.2-rsa2048 tls1.3-rsa4096}"
    plan_all tls "$works" "plain card"
    run_plan "$results/tls.raw.tsv"
    summarize "$results/tls.raw.tsv" "$results/tls.summary.tsv"
    lines_with "rate rate/plain median_us p99_us cpu_us cpu_us/plain client_us batch" "$results/tls.summary.tsv" >"$results/tls.tsv"
    here
    echo "HAProxy with $(nproc) threads, a client of $(nproc) processes on the same machine that keeps ${jobs:-64} handshakes under way, each on a new"
    echo "connection; $rounds rounds of $seconds s"
    tls_table "$results/tls.tsv" | as_text
    tell_cleanliness "$results/tls.summary.tsv"
    plot tls "$results/tls.svg" "$results/tls.tsv"
}
