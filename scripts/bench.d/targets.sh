# SPDX-License-Identifier: Apache-2.0
# Mode "targets": what the project wants to reach on two cores with AVX-512 IFMA, each as a ratio to plain synchronous OpenSSL
# on one core, and what this machine reaches now. It reports; it decides nothing.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

target_groups=(rsa aes modes jobs cpu kernel)
job_steps="1 2 4 8 16 32 64 128 256 512"

# Group, what, work, variant, metric, and the two limits. Where less is better, "at most" stands before them.
targets() {
    cat <<'LIST'
rsa|RSA-2048 sign, 64 jobs|rsa2048-sign|64|rate|5.0|6.5
rsa|RSA-3072 sign, 64 jobs|rsa3072-sign|64|rate|9|11
rsa|RSA-4096 sign, 64 jobs|rsa4096-sign|64|rate|9|12
rsa|RSA-2048 verify, 64 jobs|rsa2048-verify|64|rate|5|7
rsa|RSA-2048 sign, 1 job|rsa2048-sign|1|rate|0.92|1.0
rsa|RSA-2048 sign, synchronous|rsa2048-sign|sync|rate|0.95|1.0
aes|AES-128-CBC encrypt, 16 KiB, 64 jobs|aes-128-cbc:16384|64|rate|5|8
aes|AES-256-GCM, 16 KiB, 64 jobs, on the card|aes-256-gcm:16384|64|rate|1.8|2.5
aes|AES-256-GCM, 16 KiB, 64 jobs, OFFLOAD:fastest|aes-256-gcm:16384|fastest|rate|3|3.5
aes|AES-256-GCM, 16 KiB, synchronous|aes-256-gcm:16384|sync|rate|2.5|3.5
modes|AES, every mode and length, no job, the slowest|modes|sync||0.9|1.0
modes|AES, every mode and length, 64 jobs, fastest, the slowest|modes|fastest||0.9|1.0
modes|AES, every mode and length, 64 jobs, card, the slowest|modes|64||0.9|1.0
jobs|RSA-2048 sign, 1 to 512 jobs, worst step|steps|||0.95|1.0
cpu|CPU time for an RSA-2048 sign, 64 jobs|rsa2048-sign|64|cpu_us|at most 0.35|0.3
cpu|CPU time of an idle card, us in a second|idle|idle|idle_us_per_s|at most 100|0
kernel|kernel alone, one core, RSA-2048 sign|kernel-rsa2048|kernel|rate|3.2|4
tls|TLS 1.3, RSA-2048, handshakes a second|tls1.3-rsa2048|card|rate|1.3|1.3
tls|TLS 1.3, RSA-2048, the server's CPU time|tls1.3-rsa2048|card|cpu_us|at most 0.68|0.68
tls|TLS 1.2, RSA-2048, handshakes a second|tls1.2-rsa2048|card|rate|1.5|1.5
tls|TLS 1.2, RSA-2048, the server's CPU time|tls1.2-rsa2048|card|cpu_us|at most 0.58|0.58
tls|TLS 1.3, RSA-4096, handshakes a second|tls1.3-rsa4096|card|rate|3.5|3.5
tls|TLS 1.3, RSA-4096, the server's CPU time|tls1.3-rsa4096|card|cpu_us|at most 0.24|0.24
LIST
}

# What a process uses while it sleeps after its work: with the card, and without.
measure_idle() {
    local jobs=64
    [ "$2" != plain ] || jobs=plain
    "$programs/in-flight" -i 2 rsa2048-sign "$jobs" "$seconds" >"$work/out" || return
    awk -v v="$2" -v OFS='\t' '$1 == "idle_us_per_s" { print "idle", v, $1, $2 }' "$work/out"
}

# The kernel's own measurement, which takes its rounds itself.
measure_kernel() {
    "$ERSATZ_BUILD/tests/kernels/kernels-bench" "$ERSATZ_TEST_KEYS" >"$work/out" || return
    awk -v w="$1" -v OFS='\t' '$1 == "RSA-2048" && $2 == "private" {
        print w, "plain", "rate", $3 + 0; print w, "kernel", "rate", $4 + 0 }' "$work/out"
}

plan_targets() {
    case $1 in
    rsa)
        plan_all speed rsa2048 "plain 64 1 sync"
        plan_all speed "rsa3072 rsa4096" "plain 64"
        ;;
    aes)
        plan_all speed aes-128-cbc:16384 "plain 64"
        plan_all speed aes-256-gcm:16384 "plain 64 fastest sync"
        ;;
    modes) plan_modes ;;
    jobs) plan_all in_flight rsa2048-sign "$job_steps" ;;
    cpu)
        plan_all in_flight rsa2048-sign "plain 64"
        plan_all idle idle "plain idle"
        ;;
    kernel)
        # Built only where there is a batch kernel; it says nothing of a processor that does not run it.
        [ ! -x "$ERSATZ_BUILD/tests/kernels/kernels-bench" ] || plan_all kernel kernel-rsa2048 kernel
        ;;
    esac
}

# The lowest throughput in comparison with any that fewer jobs had, of those that were measured.
worst_step() {
    awk -F'\t' '$1 == "rsa2048-sign" && $2 ~ /^[0-9]+$/ && $3 == "rate" { rate[$2 + 0] = $4 }
        END {
            least = 2
            for (n = 1; n <= 512; n *= 2) {
                if (!(n in rate)) continue
                if (best > 0 && rate[n] / best < least) { least = rate[n] / best; at = n }
                if (rate[n] > best) best = rate[n]
            }
            if (at) printf "%.4f\t%d jobs\n", least, at
            exit !at
        }' "$1"
}

# in_words SUMMARY WORK VARIANT METRIC: the median with its unit.
in_words() {
    awk -v value="$(look_up "$@" median)" -v work="$2" -v metric="$4" 'BEGIN {
        if (metric == "cpu_us") printf "%.0f us", value
        else if (work ~ /:/) printf "%.2f GB/s", value / 1e9
        else printf "%.0f/s", value }'
}

# targets_reached GROUP SUMMARY: the lines of one group: what, ratio, at least, aim, whether it is reached, and what there is to say. Lines
# without a figure are left out.
targets_reached() {
    local summary=$2 group what work_name variant metric least aim got note
    while IFS='|' read -r group what work_name variant metric least aim; do
        [ "$group" = "$1" ] || continue
        note=
        case $work_name in
        modes) IFS=$'\t' read -r got note < <(slowest_cell "$summary" "$variant") || continue ;;
        steps) IFS=$'\t' read -r got note < <(worst_step "$summary") || continue ;;
        idle)
            got=$(look_up "$summary" idle idle "$metric" median) || continue
            note="without the card $(look_up "$summary" idle plain "$metric" median)"
            ;;
        *)
            got=$(look_up "$summary" "$work_name" "$variant" "$metric" ratio) || continue
            note="$(in_words "$summary" "$work_name" plain "$metric") -> $(in_words "$summary" "$work_name" "$variant" "$metric")"
            ;;
        esac
        awk -v OFS='\t' -v what="$what" -v got="$got" -v least="$least" -v aim="$aim" -v note="$note" 'BEGIN {
            limit = least; most = sub(/^at most /, "", limit)
            good = most ? got <= limit + 0 : got >= limit + 0; very = most ? got <= aim + 0 : got >= aim + 0
            print what, got, least, aim, very ? "aim" : good ? "yes" : "no", note }'
    done < <(targets)
}

mode_targets() {
    local group
    [ $# -gt 0 ] || set -- "${target_groups[@]}"
    printf 'what\tratio\tat least\taim\treached\tnote\n' >"$results/targets.tsv"
    for group in "$@"; do
        plan_targets "$group"
        run_plan "$results/targets-$group.raw.tsv"
        summarize "$results/targets-$group.raw.tsv" "$results/targets-$group.summary.tsv"
        targets_reached "$group" "$results/targets-$group.summary.tsv" >>"$results/targets.tsv"
    done
    here
    echo "Ratios to plain synchronous OpenSSL on one core in the same round; $rounds rounds of $seconds s"
    awk -F'\t' '{ printf "%-48s %8s %13s %6s %8s  %s\n", $1, NR == 1 ? $2 : sprintf("%.2f", $2), $3, $4, $5, $6 }' "$results/targets.tsv"
    [[ " $* " != *" modes "* ]] || { echo; modes_table "$results/targets-modes.summary.tsv" | as_text; slow_cells "$results/targets-modes.summary.tsv"; }
}
