# SPDX-License-Identifier: Apache-2.0
# Mode "report": the tables of docs/performance/ for the machine that it runs on, as Markdown: all of them from one alternating run.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# The compiler that built the module: GCC 12.2.0, clang 14.0.6.
compiler() {
    readelf -p .comment "$ERSATZ_MODULE" 2>/dev/null |
        sed -nE 's/.*(GCC): .* ([0-9.]+)$/\1 \2/p; s/.*(clang) version ([0-9.]+).*/\1 \2/p' | tail -n 1
}

# Which ersatz, where git can tell.
module_version() {
    echo "ersatz $(git -C "$top" describe --always --dirty 2>/dev/null || sed -nE "s/^ *version: '(.*)'.*/\1/p" meson.build | head -n 1)"
}

# A file name for this processor and this OpenSSL.
report_name() {
    echo "$(processor) $(openssl version | cut -d' ' -f1-2) $1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9.]+/-/g; s/-$//'
}

# latencies TSV: its columns, with a time of less than a millisecond in microseconds.
latencies() {
    awk -F'\t' -v OFS='\t' '
        function time(us) { return us < 1000 ? sprintf("%.1f µs", us) : sprintf("%.1f ms", us / 1000) }
        NR == 1 { print "work", "jobs", "per second", "of plain", "of plain with as many messages", "median", "99th percentile", "processor time each", "of plain"; next }
        { print $1, $2, sprintf("%.0f", $3), sprintf("%.2f", $4), $9 == "-" ? "" : sprintf("%.2f", $9), time($5), time($6), time($7), sprintf("%.2f", $8) }' "$1"
}

report_parts="speed tls jobs modes"
near_plain=0.95 # what every cell of "modes" is to reach

# libcrypto_of FILE: which it is linked with.
libcrypto_of() {
    readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(libcrypto\.so\.[^]]*\)\].*/\1/p'
}

# can_do PART: whether it can be measured here. If not, a line of $left_out says why.
can_do() {
    local theirs ours
    case $1 in
    tls)
        command -v haproxy >/dev/null || { left_out+=("tls: haproxy is not installed"); return 1; }
        theirs=$(libcrypto_of "$(command -v haproxy)")
        ours=$(libcrypto_of "$ERSATZ_MODULE")
        [ "$theirs" = "$ours" ] || { left_out+=("tls: haproxy runs with $theirs, ersatz with $ours"); return 1; }
        ;;
    esac
}

# plan_report [PART ...]: all of it in one plan, so that a round is a round of everything.
plan_report() {
    local wanted
    done_parts=()
    left_out=()
    # shellcheck disable=SC2034 # for plan_jobs
    few_jobs=1,4,16,64,512
    # shellcheck disable=SC2034 # for plan_modes
    [ -n "$sizes" ] || sizes=16,256,1024,4096,16384
    for part in $report_parts; do
        wanted=" ${*:-$report_parts} "
        if [[ $wanted != *" $part "* ]]; then
            left_out+=("$part: not asked for")
        elif can_do "$part"; then
            "plan_$part"
            done_parts+=("$part")
        fi
    done
    part=
    [ -n "$against" ] || left_out+=("another accelerator: no --against")
    command -v gnuplot >/dev/null || left_out+=("pictures: gnuplot is not installed")
}

# section HEAD SUMMARY TEXT ...: a table from standard input.
section() {
    echo
    echo "## $1"
    echo
    printf '%s\n' "${@:3}"
    echo
    as_markdown
    echo
    tell_cleanliness "$2"
}

section_speed() {
    speed_table "$results/speed.summary.tsv" | section Throughput "$results/speed.summary.tsv" \
        "\`openssl speed\` by the $door, $seconds s; in brackets, cores in use. \`sync\`: no jobs; \`x2\`: two processes; \`fastest\`, \`direct\`: ${jobs:-64} jobs" \
        "and \`OFFLOAD:fastest\` or \`MEMORY:direct\`."
    [ -z "$against" ] || echo $'\n'"\`${against#provider:}\`: $(against_version)."
}

section_tls() {
    tls_table "$results/tls.tsv" | section "TLS handshakes with HAProxy" "$results/tls.summary.tsv" "$(tell_tls)"
}

section_jobs() {
    latencies "$results/jobs.tsv" | section "Jobs in flight" "$results/jobs.summary.tsv" \
        "One thread keeps so many jobs in flight, with one operation each, by the $door; $seconds s."
}

section_modes() {
    modes_table "$results/modes.summary.tsv" | section "AES in every mode" "$results/modes.summary.tsv" \
        "By the $door, $(cell_seconds) s. \`sync\`: no jobs; \`64\`: 64 jobs, on the card above 2 KiB; \`fastest\`: 64 jobs, \`OFFLOAD:fastest\`."
}

# against_version: what the other accelerator says of itself.
against_version() {
    if [[ $against = provider:* ]]; then
        OPENSSL_CONF=$work/against.cnf openssl list -providers 2>/dev/null |
            awk -v name="${against#provider:}" '$1 == name { found = 1; next } found && $1 == "version:" { print "version " $2; exit }'
    else
        openssl engine -v "$against" 2>/dev/null | sed -n '1s/^([^)]*) //p'
    fi
}

# draw FILE: the picture of the report, if it has what that shows.
draw() {
    [[ " ${done_parts[*]} " = *" speed "* && " ${done_parts[*]} " = *" jobs "* ]] || return 0
    plot overview "$1" "$results/speed.tsv"
    [ ! -e "$1" ] || echo $'\n'"![Throughput with jobs in flight, times plain OpenSSL, and latency over jobs](${1##*/})"
}

# below_target FILE: which targets this machine misses, of those for which the report has figures, and which cells of "modes". FILE gets the
# targets' lines.
below_target() {
    local part group groups reached
    for part in "${done_parts[@]}"; do
        case $part in
        speed) groups="rsa aes" ;;
        jobs) groups="jobs cpu" ;;
        *) groups=$part ;;
        esac
        for group in $groups; do
            targets_reached "$group" "$results/$part.summary.tsv"
        done
    done >"$1"
    reached=$(awk -F'\t' '$5 != "no"' "$1" | wc -l)
    echo "$reached of $(wc -l <"$1") targets reached, of those that the report has figures for."
    awk -F'\t' '$5 == "no" { if (!n++) print "\nBelow target:\n"; printf "- %s: %.2f, wanted %s%s (%s)\n", $1, $2, $3 ~ /^at most/ ? "" : "at least ", $3, $6 }' "$1"
    [[ " ${done_parts[*]} " = *" modes "* ]] || return 0
    ratios_of_modes "$results/modes.summary.tsv" | awk -F'\t' -v wanted=$near_plain '
        $3 == "64" && $4 > 2048 { next } # handed to the card, whatever it costs
        { n++ }
        $5 < wanted { list[++bad] = sprintf("- %s %s, %d bytes, %s: %.2f", $1, $2, $4, $3 == "64" ? "64 jobs" : $3, $5) }
        END {
            printf "\n%d of %d cells of \"AES in every mode\" are below %s of plain OpenSSL, not counting those that OFFLOAD:card hands to the card%s\n", bad, n, wanted, bad ? ":\n" : "."
            for (i = 1; i <= bad; i++) print list[i]
        }'
}

mode_report() {
    local name file done_part
    name=$(report_name "$([ "$door" = engine ] || echo provider)")
    file=$report_directory/$name.md
    mkdir -p "$report_directory"
    plan_report "$@"
    run_plan
    [ ! -e "$work/against_failed" ] || mapfile -t -O ${#left_out[@]} left_out < <(sort -u "$work/against_failed")
    for done_part in "${done_parts[@]}"; do
        "show_$done_part"
        echo
    done
    below_target "$results/report.tsv" >"$work/below"
    {
        echo "# $(here)"
        echo
        echo "Written by \`scripts/bench report\` on $(date -u +%F). Module built by $(compiler), $(module_version); $rounds rounds in turn, medians. Ratios are to plain OpenSSL"
        echo "on one core in the same round. [performance.md](../performance.md) explains the tables."
        draw "$report_directory/$name.svg"
        for done_part in "${done_parts[@]}"; do
            "section_$done_part"
        done
        printf '\n## Targets\n\n'
        cat "$work/below"
        if [ ${#left_out[@]} -gt 0 ]; then
            printf '\n## Left out\n\n'
            printf -- '- %s\n' "${left_out[@]}"
        fi
    } >"$file"
    echo "written: $file"
    [ ${#left_out[@]} -eq 0 ] || printf 'left out: %s\n' "${left_out[@]}"
    echo
    cat "$work/below"
}
