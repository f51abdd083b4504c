# SPDX-License-Identifier: Apache-2.0
# Completes the command line of ersatz-run in bash. The options come from ersatz-run --help and ersatz-run hunt --help, and names from
# ersatz-run --list.
# shellcheck shell=bash disable=SC2207 # what is completed contains no spaces

# _ersatz_run_names PROGRAM SECTION: the names that --list shows in this section.
_ersatz_run_names() {
    "$1" --list 2>/dev/null | awk -v section="$2" '/^[^ ]/ { inside = index($0, section) == 1 } inside && /^  / { print $1 }'
}

_ersatz_run() {
    local program=$1 word=$2 before=$3 help valued i
    i=1
    if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" = hunt ]; then # it has options of its own
        help=$("$program" hunt --help 2>/dev/null)
        i=2
    else
        help=$("$program" --help 2>/dev/null)
    fi
    valued=" $(sed -n 's/^  \(--[a-z-]*\) [^ ].*/\1/p' <<<"$help" | tr '\n' ' ')" # options that take a value
    COMPREPLY=()

    # The program that is run, and its arguments, come after the options.
    for ((; i < COMP_CWORD; i++)); do
        if [ "${COMP_WORDS[i]}" = -- ]; then
            i=$((i + 1))
            break
        fi
        case ${COMP_WORDS[i]} in
        -*) [[ $valued != *" ${COMP_WORDS[i]} "* ]] || i=$((i + 1)) ;;
        *) break ;;
        esac
    done
    if [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null; then
        _command_offset "$i"
        return
    elif [ "$i" -lt "$COMP_CWORD" ]; then
        COMPREPLY=($(compgen -f -- "$word"))
        return
    fi

    case $before in
    --door) COMPREPLY=($(compgen -W 'auto engine provider' -- "$word")) ;;
    --profile) COMPREPLY=($(compgen -W "$(_ersatz_run_names "$program" Profiles)" -- "$word") $(compgen -f -- "$word")) ;;
    --faults)
        COMPREPLY=($(compgen -S = -W "$(_ersatz_run_names "$program" Faults)" -- "$word"))
        compopt -o nospace
        ;;
    --without) COMPREPLY=($(compgen -W "$(_ersatz_run_names "$program" Faults)" -- "$word")) ;;
    --ignore) COMPREPLY=($(compgen -W 'status signal time finding output growth' -- "$word")) ;;
    --allow) COMPREPLY=($(compgen -W "$(_ersatz_run_names "$program" Findings)" -- "$word")) ;;
    *)
        if [[ $valued == *" $before "* ]]; then
            COMPREPLY=($(compgen -f -- "$word"))
        elif [[ $word == -* ]]; then
            COMPREPLY=($(compgen -W "$(grep -oE '^  --[a-z-]+' <<<"$help")" -- "$word"))
        else
            COMPREPLY=($(compgen -c -- "$word"))
            [ "$COMP_CWORD" -gt 1 ] || COMPREPLY+=($(compgen -W hunt -- "$word"))
        fi
        ;;
    esac
}
complete -F _ersatz_run ersatz-run
