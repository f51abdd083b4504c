# SPDX-License-Identifier: Apache-2.0
# Mode "cores": what a request costs that computes nothing, over threads and workers, of which there may be more than cores.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_cores() {
    local counts=${jobs:-1,4,16,64} threads workers variants=
    counts=${counts//,/ }
    for threads in $counts; do
        for workers in $counts; do
            variants+=" ${threads}x$workers"
        done
    done
    plan_all empty empty "$variants"
    run_plan "$results/cores.raw.tsv"
    summarize "$results/cores.raw.tsv" "$results/cores.summary.tsv" "${counts%% *}x${counts%% *}"
    lines_with "rate cpu_us cpu_us/plain batch sleeps enters switches" "$results/cores.summary.tsv" >"$results/cores.tsv"
    here
    echo "Requests that compute nothing, 16 in flight for each thread, $rounds rounds of $seconds s: processor time of the process for"
    echo "one, in microseconds; in brackets, requests to a batch"
    cores_table "$results/cores.tsv" | as_text
    tell_flatness "$results/cores.tsv"
    tell_cleanliness "$results/cores.summary.tsv"
}

# cores_table TSV: a line for each number of threads, a column for each number of workers.
cores_table() {
    awk -F'\t' -v OFS='\t' 'NR > 1 { split($2, n, "x"); print n[1], n[2] (n[2] == 1 ? " worker" : " workers"), sprintf("%.2f (%.1f)", $4, $6) }' "$1" |
        pivot threads
}

# tell_flatness TSV: the dearest cell in proportion to the first, by each round's ratio.
tell_flatness() {
    awk -F'\t' '
        NR == 1 { next }
        NR == 2 { first = $2 }
        $5 > most || NR == 2 { most = $5; at = $2 }
        { split($2, n, "x"); if (n[1] == n[2] && ($5 > like || like == "")) { like = $5; like_at = $2 } }
        END {
            printf "%s: at most %.2f times %s, at %s", most <= 1.2 ? "FLAT within 20 %" : "NOT FLAT within 20 %", most, first, at
            printf "; with as many workers as threads %.2f times, at %s (threads x workers)\n", like, like_at
        }' "$1"
}
