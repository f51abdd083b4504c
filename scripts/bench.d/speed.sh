# SPDX-License-Identifier: Apache-2.0
# Mode "speed": openssl speed with and without the card, in one process and in two, and with another accelerator if there is one.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_speed() {
    local works="${*:-rsa2048 rsa3072 rsa4096 aes-128-cbc:16384 aes-256-gcm:16384 aes-128-ctr:16384 aes-256-xts:16384}"
    local many=${jobs:-64} work_name variants
    for work_name in $works; do
        variants="plain plain-x2 sync $many $many-x2"
        [[ $work_name = rsa* ]] || variants+=" fastest direct"
        [ -z "$against" ] || variants+=" against-sync against-$many against-$many-x2"
        plan_all speed "$work_name" "$variants"
    done
    run_plan "$results/speed.raw.tsv"
    summarize "$results/speed.raw.tsv" "$results/speed.summary.tsv"
    lines_with "rate rate/plain cores others" "$results/speed.summary.tsv" >"$results/speed.tsv"
    here
    echo "openssl speed by the $door, $rounds rounds of $seconds s. Multiples of plain OpenSSL on one core; in brackets, cores in use;"
    echo "sync: no jobs; x2: two processes; fastest, direct: $many jobs, OFFLOAD:fastest, MEMORY:direct"
    speed_table "$results/speed.summary.tsv" | as_text
    tell_cleanliness "$results/speed.summary.tsv"
    plot speed "$results/speed.svg" "$results/speed.tsv"
}
