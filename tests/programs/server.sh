# SPDX-License-Identifier: Apache-2.0
# A web server with processes of its own, by OPENSSL_CONF: after lib.sh. Goes to $work, makes key and certificate, the page
# pages/data, and chooses $port.
# shellcheck shell=bash disable=SC2154
cd "$work" || exit
make_key_and_certificate
configuration >door.cnf
chmod 755 "$work"
mkdir pages
mkdir -m 777 cards # the workers of a server that root starts are somebody else
openssl rand 20000000 >pages/data
port=$(free_port)
clients=8
each=20
reloads=3

# start_on_card COMMAND ...: the server. AES goes to the card outside of jobs, too.
start_on_card() {
    OPENSSL_CONF=$work/door.cnf ERSATZ_CTRL="WORKERS:1;SYNC_OFFLOAD:1;STATS_FILE:$work/cards/%p.json" start server.log "$@"
    server=$last
    wait_for_port "$port" "$server"
}

# children: the process ids of the server's.
children() {
    pgrep -P "$server" || true
}

# drive RELOAD STOP: the names of the signals. Nothing may fail.
drive() {
    local round i pid old running failed=0
    for ((round = 0; round < reloads; round++)); do
        running=()
        for ((i = 0; i < clients; i++)); do
            if ((i % 2)); then
                "$TLS_CLIENT" handshakes "$port" 1.3 - "$each" &
            else
                "$TLS_CLIENT" handshakes "$port" 1.2 ECDHE-RSA-AES128-GCM-SHA256 "$each" &
            fi
            running+=($!)
        done
        old=$(children)
        kill "-$1" "$server"
        for pid in "${running[@]}"; do
            wait "$pid" || failed=$((failed + 1))
        done
        for pid in $old; do
            while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        done
    done
    [ "$failed" -eq 0 ] || fail "$failed clients failed: $(tail -n 3 ./*.log)"
    curl -sk "https://127.0.0.1:$port/data" -o data || fail "no download: $(tail -n 3 ./*.log)"
    cmp data pages/data
    kill "-$2" "$server"
    wait "$server" || fail "the server ended badly: $(tail -n 3 ./*.log)"

    exactly rsa_priv $((reloads * clients * each + 1)) cards/*.json
    at_least aes_gcm $((20000000 / 16384)) cards/*.json
    exactly failed 0 cards/*.json
    echo "  handshakes of each process: $(jq .requests.rsa_priv cards/*.json | paste -sd' ')"
}
