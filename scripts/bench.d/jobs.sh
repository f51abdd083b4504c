# SPDX-License-Identifier: Apache-2.0
# Mode "jobs": throughput and latency over jobs in flight.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

plan_jobs() {
    local works="${*:-rsa2048-sign rsa4096-sign aes-128-cbc:16384 aes-256-gcm:16384}"
    local counts=${jobs:-${few_jobs:-1,2,4,8,16,32,64,128,256,512}} work_name count variants
    for work_name in $works; do
        variants=plain
        for count in ${counts//,/ }; do
            # Messages of AES may be more than the caches hold, for plain OpenSSL, too.
            [[ $work_name = rsa* ]] || variants+=" plain-$count"
            variants+=" $count"
        done
        plan_all in_flight "$work_name" "$variants"
    done
}

show_jobs() {
    summarize "$results/jobs.raw.tsv" "$results/jobs.summary.tsv"
    lines_with "rate rate/plain median_us p99_us cpu_us cpu_us/plain rate/many" "$results/jobs.summary.tsv" |
        awk -F'\t' '$2 !~ /^plain-/' >"$results/jobs.tsv"
    here
    echo "Jobs of one operation each on one thread, $rounds rounds of $seconds s; cpu: processor time of all threads for one operation;"
    tell_many
    latency_table jobs <"$results/jobs.tsv"
    tell_cleanliness "$results/jobs.summary.tsv"
    plot jobs "$results/jobs.svg" "$results/jobs.tsv"
}

mode_jobs() {
    plan_jobs "$@"
    run_plan "$results/jobs.raw.tsv"
    show_jobs
}

tell_many() {
    echo "many: times plain OpenSSL with as many messages in turn as there are jobs"
}

# latency_table WORD: of lines with rate, its ratio, median, 99th percentile, processor time and its ratio, and "rate/many".
latency_table() {
    awk -F'\t' -v word="$1" '
        NR == 1 { printf "%-20s %8s %12s %8s %12s %12s %11s %8s %8s\n", "work", word, "rate", "ratio", "median us", "99 % us", "cpu us", "ratio", "many"; next }
        $1 != last && NR > 2 { print "" }
        { last = $1; printf "%-20s %8s %10.0f/s %7.2fx %12.1f %12.1f %11.2f %7.2fx%s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9 == "-" ? "" : sprintf(" %7.2fx", $9) }'
}
