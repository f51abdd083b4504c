# SPDX-License-Identifier: Apache-2.0
# Mode "speed": openssl speed with and without the card, in one process and in two, and with another accelerator if there is one.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

plan_speed() {
    local works="${*:-rsa2048 rsa3072 rsa4096}" many=${jobs:-64} work_name variants cipher
    if [ $# -eq 0 ]; then
        for cipher in aes-128-cbc aes-256-gcm aes-128-ctr aes-256-xts; do
            works+=" $cipher:1024 $cipher:16384"
        done
    fi
    for work_name in $works; do
        case $work_name in
        rsa2048) variants="plain plain-x2 sync $many $many-x2 fastest 1 fastest-1" ;;
        rsa*) variants="plain plain-x2 sync $many $many-x2 fastest" ;;
        *)
            variants="plain plain-x2 sync $many $many-x2 fastest"
            [ "${work_name#*:}" -le 2048 ] || variants+=" direct" # shorter texts do not go to the card
            ;;
        esac
        [ "$many" != 1 ] || variants=${variants/ 1 / }
        if [ -n "$against" ] && against_offers "$work_name"; then
            [ "$work_name" != rsa2048 ] || variants+=" against-1"
            [[ $work_name = rsa* ]] || variants+=" against-sync"
            variants+=" against-$many against-$many-x2"
        fi
        plan_all speed "$work_name" "$variants"
    done
}

show_speed() {
    summarize "$results/speed.raw.tsv" "$results/speed.summary.tsv"
    lines_with "rate rate/plain cores others" "$results/speed.summary.tsv" >"$results/speed.tsv"
    here
    echo "openssl speed by the $door, $rounds rounds of $seconds s. Multiples of plain OpenSSL on one core; in brackets, cores in use;"
    echo "sync: no jobs; x2: two processes; fastest, direct: ${jobs:-64} jobs, OFFLOAD:fastest, MEMORY:direct"
    speed_table "$results/speed.summary.tsv" | as_text
    tell_cleanliness "$results/speed.summary.tsv"
    plot speed "$results/speed.svg" "$results/speed.tsv"
}

mode_speed() {
    plan_speed "$@"
    run_plan "$results/speed.raw.tsv"
    show_speed
}
