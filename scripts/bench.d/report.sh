# SPDX-License-Identifier: Apache-2.0
# Mode "report": the tables of docs/performance/ for the machine that it runs on, as Markdown.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# The compiler that built the module: GCC 12.2.0, clang 14.0.6.
compiler() {
    readelf -p .comment "$ERSATZ_MODULE" 2>/dev/null |
        sed -nE 's/.*(GCC): .* ([0-9.]+)$/\1 \2/p; s/.*(clang) version ([0-9.]+).*/\1 \2/p' | tail -n 1
}

# A file name for this processor and this OpenSSL.
report_name() {
    echo "$(processor) $(openssl version | cut -d' ' -f1-2) $1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9.]+/-/g; s/-$//'
}

# latencies TSV FIRST SECOND: its columns, with a time of less than a millisecond in microseconds.
latencies() {
    awk -F'\t' -v OFS='\t' -v first="$2" -v second="$3" '
        function time(us) { return us < 1000 ? sprintf("%.1f µs", us) : sprintf("%.1f ms", us / 1000) }
        NR == 1 { print first, second, "per second", "of plain", "median", "99th percentile", "processor time each", "of plain"; next }
        { print $1, $2, sprintf("%.0f", $3), sprintf("%.2f", $4), time($5), time($6), time($7), sprintf("%.2f", $8) }' "$1"
}

mode_report() {
    local file heading=$'\n## '
    file=$report_directory/$(report_name "$([ "$door" = engine ] || echo provider)").md
    mkdir -p "$report_directory"
    mode_speed
    if [ "$door" = engine ]; then
        mode_modes
        mode_jobs
        mode_tls
    fi
    {
        echo "# $(here)"
        echo
        echo "Written by \`scripts/bench report\` on $(date -u +%F). Module built by $(compiler); $rounds rounds, medians. Ratios are to plain OpenSSL on"
        echo "one core in the same round. [performance.md](../performance.md) explains the tables."
        echo "${heading}Throughput"
        echo
        echo "\`openssl speed\` by the $door; in brackets, cores in use. \`sync\`: no jobs; \`x2\`: two processes; \`fastest\`, \`direct\`: 64 jobs and"
        echo "\`OFFLOAD:fastest\` or \`MEMORY:direct\`."
        echo
        speed_table "$results/speed.summary.tsv" | as_markdown
        echo
        tell_cleanliness "$results/speed.summary.tsv"
        if [ "$door" = engine ]; then
            echo "${heading}AES in every mode"
            echo
            echo "\`sync\`: no jobs; \`64\`: 64 jobs, on the card above 2 KiB; \`fastest\`: 64 jobs, \`OFFLOAD:fastest\`."
            echo
            modes_table "$results/modes.summary.tsv" | as_markdown
            echo
            tell_cleanliness "$results/modes.summary.tsv"
            echo "${heading}Jobs in flight"
            echo
            latencies "$results/jobs.tsv" work jobs | as_markdown
            echo
            tell_cleanliness "$results/jobs.summary.tsv"
            echo "${heading}TLS handshakes with HAProxy"
            echo
            tls_table "$results/tls.tsv" | as_markdown
            echo
            tell_cleanliness "$results/tls.summary.tsv"
        fi
    } >"$file"
    echo "written: $file"
}
