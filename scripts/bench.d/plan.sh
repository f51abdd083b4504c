# SPDX-License-Identifier: Apache-2.0
# What is to be run, and running it: all of it in each round, one after the other, with progress on standard error.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

plan=() # each "TOOL WORK VARIANT"

# plan_all TOOL WORKS VARIANTS: each work with each variant; those of a work follow one another.
plan_all() {
    local work_name variant
    for work_name in $2; do
        for variant in $3; do
            plan+=("$1 $work_name $variant")
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

# run_plan RAW: runs the plan, round by round, and writes lines of "round, work, variant, metric, value" to the file.
run_plan() {
    local round item tool work_name variant number=0
    told_at=$((SECONDS - 10))
    : >"$1"
    for ((round = 1; round <= rounds; round++)); do
        for item in "${plan[@]}"; do
            read -r tool work_name variant <<<"$item"
            progress $number $((rounds * ${#plan[@]})) "round $round of $rounds: $work_name, $(words_for "$variant")"
            "measure_$tool" "$work_name" "$variant" >"$work/lines"
            awk -v r="$round" '{ print r "\t" $0 }' "$work/lines" >>"$1"
            number=$((number + 1))
        done
    done
    [ ! -t 2 ] || printf '\r%-78s\r' '' >&2
    plan=()
}

words_for() {
    case $1 in
    plain) echo "plain OpenSSL" ;;
    sync) echo "the engine without jobs" ;;
    fastest) echo "64 jobs, OFFLOAD:fastest" ;;
    card) echo "the card" ;;
    kernel) echo "its kernel" ;;
    1) echo "1 job" ;;
    *) echo "$1 jobs" ;;
    esac
}
