# SPDX-License-Identifier: Apache-2.0
# One run of something, by one of three tools. Each prints lines of "work, variant, metric, value" with tabs between them,
# and fails where the card did not do the work.
#
# A variant is how it is run: "plain", without the card; "sync", with the card and no job; a number, so many jobs with the card;
# "fastest" and "direct", as 64 and OFFLOAD:fastest or MEMORY:direct. "-x2" after it: two processes. "against-" before it: by the
# accelerator that --against names.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# A number of the statistics that the run has left in $work/stats*.json, the sum over its processes.
stat_of() {
    cat "$work"/stats*.json 2>/dev/null |
        awk -v name="\"$1\":" '{ at = index($0, name); if (at) sum += substr($0, at + length(name)) + 0 } END { printf "%.0f\n", sum }'
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
    [ -n "$(find "$work" -name 'stats*.json' -size +0)" ] || not_served "$1" "there are no statistics, the engine did not load" || return
    if ! on_card "$1" "$2"; then
        in_place=$(stat_of inline)
    elif [[ $1 = *-ctr:* ]]; then
        in_place=${2%%-*} # each job's first zeros in place might be the random generator's: driver/aes_text.c
        [[ $in_place =~ ^[0-9]+$ ]] || in_place=64
        [[ $2 != *-x2 ]] || in_place=$((2 * in_place))
    fi
    done_1=$(awk -F: '$1 == "+R" || $1 == "+R1" { sum += $2 } END { printf "%.0f\n", sum }' "$work/log")
    done_2=$(awk -F: '$1 == "+R2" { sum += $2 } END { printf "%.0f\n", sum }' "$work/log")
    [ "$done_1" -gt 0 ] || not_served "$1" "nothing was done" || return
    if [ "$done_2" -gt 0 ]; then
        [ "$(stat_of rsa_priv)" -ge "$done_1" ] || not_served "$1" "$(stat_of rsa_priv) of $done_1 signs" || return
        [ "$(stat_of rsa_pub)" -ge "$done_2" ] || not_served "$1" "$(stat_of rsa_pub) of $done_2 verifications" || return
    else
        [ $(($(stat_of completed) + in_place)) -ge "$done_1" ] ||
            not_served "$1" "$(stat_of completed) and $in_place in place, of $done_1" || return
    fi
}

# door_options NAME: openssl's options for an engine of that name or path, or for a provider (provider:NAME).
door_options() {
    case $1 in
    provider:*) echo "-provider ${1#provider:} -provider default -propquery ?provider=${1#provider:}" ;;
    *) echo "-engine $1" ;;
    esac
}

# check_against: that openssl speed did not go on without the other accelerator.
check_against() {
    ! grep -qiE 'invalid engine|could not load|unable to load provider|error' "$work/log" || not_served "$1" "$against does not load" || return
}

# measure_speed WORK VARIANT: WORK is what openssl speed calls it, rsa2048, or a cipher and a length, aes-128-cbc:16384. "cores": the
# processor time that it took for each second.
measure_speed() {
    local options=(-mr -elapsed -seconds "$(awk -v s="$seconds" 'BEGIN { print s <= 1 ? 1 : int(s + 0.999) }')") control=
    local variant=${2%-x2} settings=() status=0 TIMEFORMAT='%R %U %S'
    [ "$variant" = "$2" ] || options+=(-multi 2)
    # shellcheck disable=SC2207 # words
    case $variant in
    plain) ;;
    against-*) options+=($(door_options "$against")) ;;
    *)
        if [ "$door" = provider ]; then
            options+=($(door_options provider:ersatz))
            settings+=("OPENSSL_MODULES=$(dirname "$ERSATZ_MODULE")")
        else
            options+=($(door_options "$ERSATZ_MODULE"))
        fi
        ;;
    esac
    case ${variant#against-} in
    plain | sync) ;;
    fastest | direct) options+=(-async_jobs 64) ;;
    *) options+=(-async_jobs "${variant#against-}") ;;
    esac
    case $variant in
    fastest) control='OFFLOAD:fastest;' ;;
    direct) control='MEMORY:direct;' ;;
    esac
    case $1 in
    rsa*) options+=("$1") ;;
    *) options+=(-evp "${1%:*}" -bytes "${1#*:}") ;;
    esac
    rm -f "$work"/stats*.json
    settings+=("ERSATZ_CTRL=${control}STATS_FILE:$work/stats.%p.json")
    { time env "${settings[@]}" openssl speed "${options[@]}" >"$work/out" 2>"$work/log"; } 2>"$work/time" || status=$?
    [ $status -eq 0 ] || { cat "$work/log" >&2; return 1; }
    case $variant in
    plain) ;;
    against-*) check_against "$1" || return ;;
    *) check_speed "$1" "$2" || return ;;
    esac
    awk -F: -v w="$1" -v v="$2" -v OFS='\t' '
        FILENAME ~ /time$/ { split($0, t, " "); cores = t[1] > 0 ? (t[2] + t[3]) / t[1] : 0; next }
        $1 == "+F2" { print w "-sign", v, "rate", $4; print w "-verify", v, "rate", $5; n++ }
        $1 == "+F" { print w, v, "rate", $NF; n++ }
        END {
            if (n == 0) exit 1
            if (w !~ /:/) { print w "-sign", v, "cores", cores; print w "-verify", v, "cores", cores } else print w, v, "cores", cores
        }' "$work/time" "$work/out" || { echo "scripts/bench: openssl speed says nothing of $1" >&2; return 1; }
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

# measure_empty WORK VARIANT: requests that compute nothing; the variant has threads and workers, 4x16.
measure_empty() {
    "$programs/empty" "${2%x*}" "${2#*x}" "$seconds" >"$work/out" || return
    awk -v w="$1" -v v="$2" -v OFS='\t' '{ print w, v, $1, $2 }' "$work/out"
}
