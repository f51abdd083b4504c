# SPDX-License-Identifier: Apache-2.0
# One run of something, by one of several tools. Each prints lines of "work, variant, metric, value" with tabs between them,
# and fails where the card did not do the work.
#
# A variant is how it is run: "plain", without the card; "sync", with the card and no job; a number, so many jobs with the card;
# "fastest" and "direct", as 64 and OFFLOAD:fastest or MEMORY:direct; "fastest-1", with 1 job; "plain-N", without the card, N messages in turn.
# "-x2" after it: two processes. "against-" before it: by the accelerator that --against names.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# A number of the statistics that the run has left in $work/stats.json, the sum over its processes.
stat_of() {
    awk -v name="\"$1\":" '!/^"/ { at = index($0, name); if (at) sum += substr($0, at + length(name)) + 0 } END { printf "%.0f\n", sum }' \
        "$work/stats.json" 2>/dev/null
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
    *:fastest*) return 1 ;;
    rsa*) ;;
    *:sync) return 1 ;;
    *) [ "${1##*:}" -gt 2048 ] ;;
    esac
}

# openssl speed goes on with plain OpenSSL if an engine fails, so its own word counts for nothing.
# check_speed WORK VARIANT: that the statistics have as many operations as it says it has done.
check_speed() {
    local done_1 done_2 in_place=0
    if ! on_card "$1" "$2"; then
        in_place=$(stat_of inline)
    elif [[ $1 = *-ctr:* ]]; then
        in_place=${2%%-*} # each job's first zeros in place might be the random generator's: driver/aes_text.c
        [[ $in_place =~ ^[0-9]+$ ]] || in_place=64
        [[ $2 != *-x2 ]] || in_place=$((2 * in_place))
    fi
    done_1=$(awk -F: '$1 == "+R" || $1 == "+R1" { sum += $2 } END { printf "%.0f\n", sum }' "$work/out")
    done_2=$(awk -F: '$1 == "+R2" { sum += $2 } END { printf "%.0f\n", sum }' "$work/out")
    [ "$done_1" -gt 0 ] || not_served "$1" "nothing was done" || return
    if [ "$done_2" -gt 0 ] && [[ $2 != fastest* ]]; then
        [ "$(stat_of rsa_priv)" -ge "$done_1" ] || not_served "$1" "$(stat_of rsa_priv) of $done_1 signs" || return
        [ "$(stat_of rsa_pub)" -ge "$done_2" ] || not_served "$1" "$(stat_of rsa_pub) of $done_2 verifications" || return
    else
        [ $(($(stat_of completed) + in_place)) -ge $((done_1 + done_2)) ] ||
            not_served "$1" "$(stat_of completed) and $in_place in place, of $((done_1 + done_2))" || return
    fi
}

# provider_configuration NAME [LINE ...]: an OPENSSL_CONF that asks this provider first, with these lines in its section. (openssl speed has no
# option for that which concerns RSA.)
provider_configuration() {
    cat <<CNF
config_diagnostics = 1
openssl_conf = openssl_init
[openssl_init]
providers = providers
alg_section = algorithms
[providers]
$1 = accelerator
default = libcrypto
[accelerator]
$(printf '%s\n' "${@:2}")
activate = 1
[libcrypto]
activate = 1
[algorithms]
default_properties = ?provider=$1
CNF
}

# check_against: that the other accelerator loads; openssl speed might go on without it.
check_against() {
    local said
    if [[ $against = provider:* ]]; then
        provider_configuration "${against#provider:}" >"$work/against.cnf"
        said=$(OPENSSL_CONF=$work/against.cnf openssl list -providers 2>&1) && grep -qF "  ${against#provider:}" <<<"$said" && return
    else
        said=$(openssl rand -engine "$against" 1 2>&1 | tr -d '\0') &&
            ! grep -qiE 'invalid engine|could not load|error' <<<"$said" && return
    fi
    echo "scripts/bench: --against: $against does not load: $(grep -iE -m 1 'error|could not|unable|invalid' <<<"$said" || echo "openssl does not list it")" >&2
    return 1
}

# against_offers WORK: whether the other accelerator has this algorithm, by openssl's lists: id-aes256-GCM is aes-256-gcm:16384.
against_offers() {
    local name=${1%%:*} list
    [[ $name != rsa* ]] || name=rsa
    if [[ $against = provider:* ]]; then
        list=$(OPENSSL_CONF=$work/against.cnf openssl list -cipher-algorithms -signature-algorithms 2>/dev/null | grep -F "@ ${against#provider:}")
    else
        list=$(openssl engine -c "$against" 2>/dev/null | sed -n 's/^ *\[\(.*\)\]$/\1/p')
    fi
    tr -cs '[:alnum:]-' '\n' <<<"$list" | tr '[:upper:]' '[:lower:]' | sed 's/^id-//; s/-//g' | grep -qx "${name//-/}"
}

# measure_speed WORK VARIANT: WORK is what openssl speed calls it, rsa2048, or a cipher and a length, aes-128-cbc:16384. "cores": the
# processor time that it took for each second. ersatz-run counts what a process has done that is ended before its time.
measure_speed() {
    local variant=${2%-x2} processes=1 command=(env) status=0
    local options=(-elapsed -seconds "$(awk -v s="$seconds" 'BEGIN { print s <= 1 ? 1 : int(s + 0.999) }')")
    [ "$variant" = "$2" ] || processes=2
    case $variant in
    plain) ;;
    against-*)
        case $against in
        provider:*) command+=("OPENSSL_CONF=$work/against.cnf") ;;
        *) options+=(-engine "$against") ;;
        esac
        ;;
    *)
        [[ $variant != fastest* ]] || command+=(ERSATZ_CTRL=OFFLOAD:fastest)
        [ "$variant" != direct ] || command+=(ERSATZ_CTRL=MEMORY:direct)
        command+=("$ERSATZ_BUILD/tools/ersatz-run/ersatz-run" --module "$ERSATZ_MODULE" --door "$door" --no-check --no-trace --json
            --report "$work/stats.json" --)
        ;;
    esac
    case ${variant#against-} in
    plain | sync) ;;
    fastest-1) options+=(-async_jobs 1) ;;
    fastest | direct) options+=(-async_jobs "${jobs:-64}") ;;
    *) options+=(-async_jobs "${variant#against-}") ;;
    esac
    case $1 in
    rsa*) options+=("$1") ;;
    *) options+=(-evp "${1%:*}" -bytes "${1#*:}") ;;
    esac
    rm -f "$work/stats.json"
    "${command[@]}" scripts/bench.d/openssl_speed $processes "${options[@]}" >"$work/out" 2>"$work/log" || status=$?
    if [ $status -ne 0 ]; then
        cat "$work/out" >>"$work/log"
        if [[ $variant = against-* ]]; then # its cell stays empty
            echo "$1 by $against: openssl speed fails: $(grep -v '^+' "$work/log" | tail -n 1)" | tee -a "$work/against_failed" >&2
            return 0
        fi
        not_served "$1" "openssl speed ${options[*]} failed" || return
    fi
    case $variant in
    plain | against-*) ;;
    *) check_speed "$1" "$2" || return ;;
    esac
    awk -F: -v w="$1" -v v="$2" -v OFS='\t' '
        $1 == "+R" { split(w, part, ":"); rate += $2 * part[2] / $NF }
        $1 == "+R1" { sign += $2 / $NF }
        $1 == "+R2" { verify += $2 / $NF }
        $1 == "+T" { cores = $2 > 0 ? ($3 + $4) / $2 : 0 }
        END {
            if (sign) { print w "-sign", v, "rate", sign; print w "-verify", v, "rate", verify; print w "-sign", v, "cores", cores; print w "-verify", v, "cores", cores }
            else { print w, v, "rate", rate; print w, v, "cores", cores }
        }' "$work/out"
}

# measure_in_flight WORK VARIANT [OPTION ...]: with tests/bench/in_flight.c, which fails if the engine did not do the work.
measure_in_flight() {
    local jobs=$2 control=("${@:3}")
    case $2 in
    sync) jobs=0 ;;
    fastest) jobs=64; control+=(-c OFFLOAD:fastest) ;;
    esac
    "$programs/in-flight" "${control[@]}" "$1" "$jobs" "$seconds" >"$work/out" || return
    if [[ $2 != plain* ]] && on_card "$1" "$2" &&
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

# measure_empty WORK VARIANT: requests that compute nothing, or, if WORK is "echo", the same waits without a card; the variant has threads and
# workers, 4x16.
measure_empty() {
    local without_card=()
    [ "$1" != echo ] || without_card=(-e)
    "$programs/empty" "${without_card[@]}" "${2%x*}" "${2#*x}" "$seconds" >"$work/out" || return
    awk -v w="$1" -v v="$2" -v OFS='\t' '{ print w, v, $1, $2 }' "$work/out"
}
