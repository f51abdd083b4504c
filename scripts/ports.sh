# SPDX-License-Identifier: Apache-2.0
# Ports of 127.0.0.1 for servers: for the tests' drives and the scripts that start one. Whoever sources this file has a directory $work of
# its own, and calls take_ports before free_port.
# shellcheck shell=bash disable=SC2154 # work

# is_listening PORT: without connecting, which some servers count.
is_listening() {
    awk -v port="$(printf ':%04X' "$1")" 'substr($2, length($2) - 4) == port && $4 == "0A" { found = 1 }
        END { exit !found }' /proc/net/tcp
}

# Scripts that run at the same time, of any user and checkout, have a range of 200 ports each. They lie below those that Linux gives to
# clients: one that lingers after its connection would keep a server from binding. The range is ours as long as a lock on a file is held, by
# this shell or by what it has left. If others have all 100, wait for one, but say so, and give up in the end.
take_ports() {
    local locks=${ports_locks:-/tmp/ersatz-test-ports} patience=${ports_patience:-60} i waited
    mkdir -m 1777 "$locks" 2>/dev/null || true
    for ((waited = 0; ; waited++)); do
        for ((i = $$; i < $$ + 100; i++)); do
            [ -e "$locks/$((i % 100))" ] || (umask 022 && set -C && : >"$locks/$((i % 100))") 2>/dev/null || true
            [ -r "$locks/$((i % 100))" ] || continue
            exec {ports_lock}<"$locks/$((i % 100))"
            if flock -n "$ports_lock"; then
                ports=$((12000 + i % 100 * 200))
                echo $((RANDOM % 199)) >"$work/.port"
                return
            fi
            exec {ports_lock}<&-
        done
        [ -d "$locks" ] || { echo "no directory $locks, for the locks on ranges of ports" >&2; return 1; }
        if [ "$waited" -ge "$patience" ]; then
            echo "no range of ports was free for $waited s. All 100 files in $locks are locked: by scripts that run, or by servers that they left behind (fuser $locks/* shows both)" >&2
            return 1
        fi
        [ "$waited" -ne 2 ] || echo "waiting for a range of ports, $patience s at most: the 100 files in $locks are locked by others" >&2
        sleep 1
    done
}

# A port that nobody has, no hunt of ersatz-run either (tools/ersatz-run/room.c), and none that this script got a moment ago. Nor does another
# script get the one above it. If all were used within the last minute, one on which nobody listens.
free_port() {
    local i port next used states hunts
    next=$(cat "$work/.port")
    hunts=$(cat /proc/net/unix 2>/dev/null || true)
    for states in '' 0A; do
        used=$(awk -v states="$states" 'states == "" || $4 == states { print substr($2, length($2) - 3) }' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true)
        for ((i = 1; i <= 199; i++)); do
            port=$((ports + (next + i) % 199))
            [[ $used == *$(printf '%04X' "$port")* || $hunts == *@ersatz-run/ports/$((port / 10 * 10))* ]] || break 2
        done
    done
    echo $((port - ports)) >"$work/.port"
    echo "$port"
}
