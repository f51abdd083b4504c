# SPDX-License-Identifier: Apache-2.0
# Mode "modes": AES in every mode, both directions and every length, without jobs and in jobs, and which cells are slow.
#
# Many operations go to one job, and to one look at the clock, so that what is compared is the operation and nothing else. In jobs
# there are two variants beyond 2 KiB, where the card comes in: OFFLOAD:card, which is the default, hands every message over, which
# costs more than the modes take that fill a core's AES unit by themselves; OFFLOAD:fastest leaves those to the calling core.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

every_mode="aes-128-cbc aes-128-ctr aes-128-ecb aes-128-cfb aes-128-ofb aes-128-gcm aes-128-ccm aes-128-xts"
every_length="16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536"
few_lengths="16 256 4096 16384" # for -q
slow=0.9                        # below this ratio to plain OpenSSL

# Of one run: there are many. The other modes' default is 1.
cell_seconds() {
    echo "${given_seconds:-0.1}"
}

# plan_modes [CIPHER ...]
plan_modes() {
    local cipher direction length lengths=$every_length ciphers=("$@")
    [ $# -gt 0 ] || read -ra ciphers <<<"$every_mode"
    [ -z "$quick" ] || lengths=$few_lengths
    [ -z "$sizes" ] || lengths=${sizes//,/ }
    for cipher in "${ciphers[@]}"; do
        for direction in "" -decrypt; do
            for length in $lengths; do
                plan_all in_a_row "$cipher$direction:$length" "plain sync 64"
                [ "$length" -le 2048 ] || plan_all in_a_row "$cipher$direction:$length" fastest
            done
        done
    done
}

# ratios_of_modes SUMMARY: lines of cipher, direction, variant, length, ratio.
ratios_of_modes() {
    awk -F'\t' -v OFS='\t' '$1 ~ /^aes-.*:/ && $2 != "plain" && $3 == "rate" {
        split($1, part, ":")
        direction = sub(/-decrypt$/, "", part[1]) ? "decrypt" : "encrypt"
        print part[1], direction, $2, part[2], $5 }' "$1"
}

modes_table() {
    ratios_of_modes "$1" | awk -F'\t' -v OFS='\t' '{ print $1 " " $2 " " $3, $4, sprintf("%.2f", $5) }' | pivot bytes
}

# slow_cells SUMMARY: which are slow, the slowest first.
slow_cells() {
    local cells
    cells=$(ratios_of_modes "$1" | awk -F'\t' -v slow=$slow '$5 < slow { printf "%.2f  %s, %s, %d bytes, %s\n", $5, $1, $2, $4, $3 }' | sort -n)
    echo "$(ratios_of_modes "$1" | wc -l) cells, of which $(grep -c . <<<"$cells" || true) below $slow"
    [ -z "$cells" ] || echo "$cells"
}

# slowest_cell SUMMARY VARIANT: its ratio, and which it is. Up to 2 KiB jobs are all alike.
slowest_cell() {
    ratios_of_modes "$1" | awk -F'\t' -v OFS='\t' -v variant="$2" '
        ($3 == variant || (variant == "fastest" && $3 == "64" && $4 <= 2048)) && (!found || $5 < least) {
            least = $5; found = 1; which = $1 ", " $2 ", " $4 " bytes" }
        END { if (found) print least, which; exit !found }'
}

show_modes() {
    summarize "$results/modes.raw.tsv" "$results/modes.summary.tsv"
    { printf 'cipher\tdirection\tvariant\tlength\tratio\n'; ratios_of_modes "$results/modes.summary.tsv"; } >"$results/modes.tsv"
    here
    echo "Ratios to plain OpenSSL in the same round; sync: the $door without jobs; $rounds rounds of $(cell_seconds) s"
    modes_table "$results/modes.summary.tsv" | as_text
    slow_cells "$results/modes.summary.tsv"
    tell_cleanliness "$results/modes.summary.tsv"
}

mode_modes() {
    plan_modes "$@"
    run_plan "$results/modes.raw.tsv"
    show_modes
}
