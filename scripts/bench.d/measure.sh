# SPDX-License-Identifier: Apache-2.0
# One run of something, by one of three tools. Each prints lines of "work, variant, metric, value" with tabs between them,
# and fails where the card did not do the work.
#
# A variant is how it is run: "plain", without the engine; "sync", with the engine and no job; a number, so many jobs with
# the engine; "fastest", as that, and OFFLOAD:fastest.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# A number of the statistics that the run has left in $work/stats.json.
stat_of() {
    awk -v name="\"$1\":" '{ at = index($0, name); if (at) { print substr($0, at + length(name)) + 0; found = 1; exit } }
        END { if (!found) print 0 }' "$work/stats.json" 2>/dev/null || echo 0
}

not_served() {
    echo "scripts/bench: $1: the card did not do the work: $2" >&2
    [ ! -s "$work/log" ] || tail -3 "$work/log" >&2
    return 1
}

# on_card WORK VARIANT: whether this work goes to the card, and may not be done by the calling core. Up to 2 KiB the calling
# core does AES, and so it does without jobs.
on_card() {
    case $1:$2 in
    rsa*) ;;
    *:fastest | *:sync) return 1 ;;
    *) [ "${1##*:}" -gt 2048 ] ;;
    esac
}

# openssl speed goes on with plain OpenSSL if an engine fails, so its own word counts for nothing.
# check_speed WORK VARIANT: that the statistics have as many operations as it says it has done, on standard error.
check_speed() {
    local done_1 done_2 in_place=0
    [ -s "$work/stats.json" ] || not_served "$1" "there are no statistics, the engine did not load" || return
    if ! on_card "$1" "$2"; then
        in_place=$(stat_of inline)
    elif [[ $1 = *-ctr:* ]]; then
        in_place=$2 # each job's first zeros in place might be the random generator's: driver/aes_text.c
    fi
    done_1=$(awk -F: '$1 == "+R" || $1 == "+R1" { print $2 }' "$work/log")
    done_2=$(awk -F: '$1 == "+R2" { print $2 }' "$work/log")
    [ "${done_1:-0}" -gt 0 ] || not_served "$1" "nothing was done" || return
    if [ -n "$done_2" ]; then
        [ "$(stat_of rsa_priv)" -ge "$done_1" ] || not_served "$1" "$(stat_of rsa_priv) of $done_1 signs" || return
        [ "$(stat_of rsa_pub)" -ge "$done_2" ] || not_served "$1" "$(stat_of rsa_pub) of $done_2 verifications" || return
    else
        [ $(($(stat_of completed) + in_place)) -ge "$done_1" ] ||
            not_served "$1" "$(stat_of completed) and $in_place in place, of $done_1" || return
    fi
}

# measure_speed WORK VARIANT: WORK is what openssl speed calls it, rsa2048, or a cipher and a length, aes-128-cbc:16384.
measure_speed() {
    local options=(-mr -elapsed -seconds "$(awk -v s="$seconds" 'BEGIN { print s <= 1 ? 1 : int(s + 0.999) }')") control=
    case $2 in
    plain) ;;
    sync) options+=(-engine "$ERSATZ_MODULE") ;;
    fastest) options+=(-engine "$ERSATZ_MODULE" -async_jobs 64); control='OFFLOAD:fastest;' ;;
    *) options+=(-engine "$ERSATZ_MODULE" -async_jobs "$2") ;;
    esac
    case $1 in
    rsa*) options+=("$1") ;;
    *) options+=(-evp "${1%:*}" -bytes "${1#*:}") ;;
    esac
    rm -f "$work/stats.json"
    ERSATZ_CTRL="${control}STATS_FILE:$work/stats.json" openssl speed "${options[@]}" >"$work/out" 2>"$work/log" ||
        { cat "$work/log" >&2; return 1; }
    [ "$2" = plain ] || check_speed "$1" "$2" || return
    awk -F: -v w="$1" -v v="$2" -v OFS='\t' '
        $1 == "+F2" { print w "-sign", v, "rate", $4; print w "-verify", v, "rate", $5; n++ }
        $1 == "+F" { print w, v, "rate", $NF; n++ }
        END { exit n == 0 }' "$work/out" || { echo "scripts/bench: openssl speed says nothing of $1" >&2; return 1; }
}

# measure_in_flight WORK VARIANT [OPTION ...]: with tests/bench/in_flight.c, which fails if the engine did not do the work.
measure_in_flight() {
    local jobs=$2 control=("${@:3}")
    case $2 in
    sync) jobs=0 ;;
    fastest) jobs=64; control+=(-c OFFLOAD:fastest) ;;
    esac
    "$programs/in-flight" "${control[@]}" "$1" "$jobs" "$seconds" >"$work/out" || return
    if [ "$2" != plain ] && on_card "$1" "$2" &&
        ! awk '{ value[$1] = $2 } END { exit value["on_card"] < value["operations"] }' "$work/out"; then
        not_served "$1" "$(grep -E '^(operations|on_card|inline) ' "$work/out" | tr '\n' ' ')" || return
    fi
    awk -v w="$1" -v v="$2" -v OFS='\t' '{ print w, v, $1, $2 }
        $1 == "rate" && w ~ /:/ { split(w, part, ":"); print w, v, "bytes", $2 * part[2] }' "$work/out"
}

# The same with many operations to a job or a look at the clock: as many as come to 256 KiB, but some jobs in flight have to end.
measure_in_a_row() {
    local count=$((262144 / ${1##*:})) seconds
    seconds=$(cell_seconds)
    measure_in_flight "$1" "$2" -n $((count < 4 ? 4 : count > 256 ? 256 : count))
}
