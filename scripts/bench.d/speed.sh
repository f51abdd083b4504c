# SPDX-License-Identifier: Apache-2.0
# Mode "speed": openssl speed with and without the engine.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_speed() {
    local works="${*:-rsa2048 rsa3072 rsa4096 aes-128-cbc:16384 aes-256-gcm:16384 aes-128-ctr:16384 aes-256-xts:16384}"
    local many=${jobs:-64}
    plan_all speed "$works" "plain sync $many"
    run_plan "$results/speed.raw.tsv"
    summarize "$results/speed.raw.tsv" "$results/speed.summary.tsv"
    lines_with "rate rate/plain" "$results/speed.summary.tsv" >"$results/speed.tsv"
    here
    echo "openssl speed, $rounds rounds of $seconds s; plain is one core without jobs"
    awk -F'\t' -v many="$many" '
        function human(work, value) { return work ~ /^rsa/ ? sprintf("%.0f/s", value) : sprintf("%.2f GB/s", value / 1e9) }
        NR > 1 { if (!($1 in seen)) { seen[$1] = 1; order[++n] = $1 } rate[$1, $2] = $3; ratio[$1, $2] = $4 }
        END {
            printf "%-20s %12s %12s %7s %12s %7s\n", "work", "plain", "engine, sync", "ratio", many " jobs", "ratio"
            for (k = 1; k <= n; k++) {
                w = order[k]
                printf "%-20s %12s %12s %6.2fx %12s %6.2fx\n", w, human(w, rate[w, "plain"]), human(w, rate[w, "sync"]),
                    ratio[w, "sync"], human(w, rate[w, many]), ratio[w, many]
            }
        }' "$results/speed.tsv"
    plot speed "$results/speed.svg" "$results/speed.tsv"
}
