# SPDX-License-Identifier: Apache-2.0
# What is to be run, and running it: all of it in each round, one after the other, with progress on standard error.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

plan=() # each "TOOL WORK VARIANT PART"
part=   # of a plan of several: its lines go to a file of their own

# plan_all TOOL WORKS VARIANTS: each work with each variant; those of a work follow one another.
plan_all() {
    local work_name variant
    for work_name in $2; do
        for variant in $3; do
            plan+=("$1 $work_name $variant $part")
        done
    done
}

# progress DONE OF WHAT: on a terminal one line that changes; else a line now and then.
progress() {
    local text
    text=$(printf '[%3d %%] %s' $((100 * $1 / $2)) "$3")
    if [ -t 2 ]; then
        printf '\r%-78s' "$text" >&2
    elif [ $((SECONDS - told_at)) -ge 10 ]; then
        told_at=$SECONDS
        echo "$text" >&2
    fi
}

# note_times FILE: the time, what this script and its children took of the processors, and what everybody did, the host of a virtual
# machine included. Not to be called in a subshell, which has times of its own.
note_times() {
    { echo "now $EPOCHREALTIME"; times; head -n 1 /proc/stat; } >"$1"
}

# others_since BEFORE AFTER: how many cores others used between two notes.
others_since() {
    awk -v hz="$(getconf CLK_TCK)" '
        function seconds(text,   part) { split(text, part, "m"); return part[1] * 60 + part[2] } # 0m1.234s
        FNR == 1 { sign = NR == 1 ? -1 : 1 }
        $1 == "now" { elapsed += sign * $2 }
        $1 == "cpu" { others += sign * ($2 + $3 + $4 + $7 + $8 + $9) / hz }
        /m.*s/ { others -= sign * (seconds($1) + seconds($2)) }
        END { printf "%.3f\n", (others > 0 && elapsed > 0) ? others / elapsed : 0 }' "$1" "$2"
}

# run_plan [RAW]: runs the plan, round by round, and writes lines of "round, work, variant, metric, value" to the file; those of a part to
# $results/PART.raw.tsv. "others": how many cores others used meanwhile.
run_plan() {
    local round item tool work_name variant of_part raw number=0
    told_at=$((SECONDS - 10))
    for item in "${plan[@]}"; do
        read -r _ _ _ of_part <<<"$item"
        : >"${1:-$results/$of_part.raw.tsv}"
    done
    for ((round = 1; round <= rounds; round++)); do
        for item in "${plan[@]}"; do
            read -r tool work_name variant of_part <<<"$item"
            raw=${1:-$results/$of_part.raw.tsv}
            progress $number $((rounds * ${#plan[@]})) "round $round of $rounds: $work_name, $(words_for "$variant")"
            note_times "$work/before"
            "measure_$tool" "$work_name" "$variant" >"$work/lines"
            note_times "$work/after"
            awk -v r="$round" -v OFS='\t' -v others="$(others_since "$work/before" "$work/after")" '
                { print r, $0; split($0, part, "\t"); seen[part[1] OFS part[2]] = 1 }
                END { for (key in seen) print r, key, "others", others }' "$work/lines" >>"$raw"
            number=$((number + 1))
        done
    done
    [ ! -t 2 ] || printf '\r%-78s\r' '' >&2
    plan=()
}

words_for() {
    case $1 in
    *-x2) echo "$(words_for "${1%-x2}"), two processes" ;;
    against-*) echo "$against, $(words_for "${1#against-}")" ;;
    plain) echo "plain OpenSSL" ;;
    plain-*) echo "plain OpenSSL, ${1#plain-} messages in turn" ;;
    sync) echo "no jobs" ;;
    fastest) echo "${jobs:-64} jobs, OFFLOAD:fastest" ;;
    fastest-1) echo "1 job, OFFLOAD:fastest" ;;
    direct) echo "${jobs:-64} jobs, MEMORY:direct" ;;
    [0-9]*x[0-9]*) echo "${1/x/ threads, } workers" ;;
    card) echo "the card" ;;
    kernel) echo "its kernel" ;;
    1) echo "1 job" ;;
    *) echo "$1 jobs" ;;
    esac
}
