# SPDX-License-Identifier: Apache-2.0
# Mode "sizes": AES over lengths of the message.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_sizes() {
    local ciphers="${*:-aes-128-cbc aes-256-gcm aes-128-ctr}" many=${jobs:-64}
    local lengths=${sizes:-256,512,1024,2048,4096,8192,16384,32768,65536} cipher length count variants="plain sync"
    for count in ${many//,/ }; do
        variants+=" plain-$count $count" # as in "jobs"
    done
    for cipher in $ciphers; do
        for length in ${lengths//,/ }; do
            plan_all in_flight "$cipher:$length" "$variants"
        done
    done
    run_plan "$results/sizes.raw.tsv"
    summarize "$results/sizes.raw.tsv" "$results/sizes.summary.tsv"
    lines_with "rate rate/plain median_us p99_us cpu_us cpu_us/plain rate/many bytes" "$results/sizes.summary.tsv" |
        awk -F'\t' -v OFS='\t' 'NR == 1 { print $0, "cipher", "length"; next } $2 !~ /^plain-/ { split($1, part, ":"); print $0, part[1], part[2] }' \
            >"$results/sizes.tsv"
    here
    echo "One message an operation; sync: the engine without jobs; numbers: jobs on one thread; $rounds rounds of $seconds s;"
    tell_many
    latency_table variant <"$results/sizes.tsv"
    tell_cleanliness "$results/sizes.summary.tsv"
    plot sizes "$results/sizes.svg" "$results/sizes.tsv"
}
