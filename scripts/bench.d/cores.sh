# SPDX-License-Identifier: Apache-2.0
# Mode "cores": what a request costs that computes nothing, over threads and workers, of which there may be more than cores.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_cores() {
    local counts=${jobs:-1,4,16,64} threads workers
    # Runs differ by more than cells do, so many short ones say more than a few long ones.
    local rounds=${given_rounds:-$([ -n "$quick" ] && echo 7 || echo 21)} seconds=${given_seconds:-0.1}
    counts=${counts//,/ }
    for threads in $counts; do
        for workers in $counts; do
            plan_all empty "empty echo" "${threads}x$workers"
        done
    done
    run_plan "$results/cores.raw.tsv"
    summarize "$results/cores.raw.tsv" "$results/cores.summary.tsv" "${counts%% *}x${counts%% *}"
    lines_with "rate cpu_us cpu_us/plain batch sleeps enters switches" "$results/cores.summary.tsv" >"$results/cores.tsv"
    here
    echo "Requests that compute nothing, 16 in flight for each thread, $rounds rounds of $seconds s: processor time of the process for"
    echo "one, in microseconds; in brackets, requests to a batch, and the time without a card, by threads that do nothing but the same waits"
    cores_table "$results/cores.tsv" | as_text
    tell_flatness "processor time" cpu_us "${counts%% *}x${counts%% *}" "$results/cores.raw.tsv"
    without_waits cpu_us "${counts%% *}x${counts%% *}" "$results/cores.raw.tsv" >"$work/without_waits.tsv"
    tell_flatness "without what the waits alone take more, processor time" cpu_us "${counts%% *}x${counts%% *}" "$work/without_waits.tsv"
    ! grep -q $'\tinstructions\t' "$results/cores.raw.tsv" ||
        tell_flatness instructions instructions "${counts%% *}x${counts%% *}" "$results/cores.raw.tsv"
    tell_cleanliness "$results/cores.summary.tsv"
}

# cores_table TSV: a line for each number of threads, a column for each number of workers.
cores_table() {
    awk -F'\t' -v OFS='\t' '
        NR == FNR { if ($1 == "echo") alone[$2] = $4; next }
        $1 == "empty" { split($2, n, "x"); print n[1], n[2] (n[2] == 1 ? " worker" : " workers"), sprintf("%.2f (%.1f; %.2f)", $4, $6, alone[$2]) }' "$1" "$1" |
        pivot threads
}

# without_waits METRIC FIRST RAW: the metric of each cell, less what the same waits without a card take more there than in the first cell, round
# by round.
without_waits() {
    awk -F'\t' -v OFS='\t' -v metric="$1" -v first="$2" '
        $4 != metric { next }
        NR == FNR { if ($2 == "echo") alone[$1, $3] = $5; next }
        $2 == "empty" && ($1, $3) in alone && ($1, first) in alone { $5 -= alone[$1, $3] - alone[$1, first]; print }' "$3" "$3"
}

# tell_flatness WORDS METRIC FIRST RAW: the dearest cell in proportion to the first: the median of each round's ratio, and the interval in which
# the true median lies with 95 % probability, by order statistics. It takes six rounds to have one. It is flat if no cell's interval goes beyond
# 1.2, and not flat if one lies beyond it.
tell_flatness() {
    awk -F'\t' -v words="$1" -v metric="$2" -v first="$3" '
        function look(name,   n, r, i, t) { # at the ratios of a cell: sets median, low and high
            for (r = 1; r <= rounds; r++) {
                if (!((name, r) in value) || !(value[first, r] > 0)) continue
                ratio[++n] = value[name, r] / value[first, r]
                for (i = n; i > 1 && ratio[i - 1] > ratio[i]; i--) { t = ratio[i - 1]; ratio[i - 1] = ratio[i]; ratio[i] = t }
            }
            median = n % 2 ? ratio[(n + 1) / 2] : (ratio[n / 2] + ratio[n / 2 + 1]) / 2
            t = int((n + 1) / 2 - 0.98 * sqrt(n))
            enough = t >= 1
            low = ratio[enough ? t : 1]
            high = ratio[enough ? n + 1 - t : n]
        }
        $2 == "empty" && $4 == metric { value[$3, $1] = $5; if (!($3 in seen)) { seen[$3] = 1; cell[++cells] = $3 } if ($1 > rounds) rounds = $1 }
        END {
            for (c = 1; c <= cells; c++) {
                look(cell[c])
                if (median > most) { most = median; at = cell[c] }
                if (high > highest) { highest = high; highest_at = cell[c] }
                beyond = beyond || low > 1.2
                split(cell[c], n, "x")
                if (n[1] == n[2] && median > like) { like = median; like_at = cell[c] }
            }
            look(at)
            verdict = !enough || (!beyond && highest > 1.2) ? "UNDECIDED, FLAT OR NOT" : beyond ? "NOT FLAT" : "FLAT"
            printf "%s within 20 %%: %s at most %.2f times %s (%.2f to %.2f), at %s", verdict, words, median, first, low, high, at
            if (highest > 1.2 && highest > high) printf ", or up to %.2f, at %s", highest, highest_at
            look(like_at)
            printf "; with as many workers as threads %.2f times (%.2f to %.2f), at %s\n", median, low, high, like_at
        }' "$4"
}
