# SPDX-License-Identifier: Apache-2.0
# Completes the command line of ersatzctl in bash. Options and commands come from ersatzctl --help.
# shellcheck shell=bash disable=SC2207 # what is completed contains no spaces

_ersatzctl() {
    local program=$1 word=$2 help
    help=$("$program" --help 2>/dev/null)
    COMPREPLY=()
    case $COMP_CWORD in
    1)
        if [[ $word == -* ]]; then
            COMPREPLY=($(compgen -W "$(grep -oE '^  --[a-z-]+' <<<"$help")" -- "$word"))
        else
            COMPREPLY=($(compgen -f -- "$word")) # sockets
        fi
        ;;
    2) COMPREPLY=($(compgen -W "$(sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p' <<<"$help")" -- "$word")) ;;
    3)
        case ${COMP_WORDS[2]} in
        hold) COMPREPLY=($(compgen -W 'compute signal none' -- "$word")) ;;
        profile | trace) COMPREPLY=($(compgen -f -- "$word")) ;;
        esac
        ;;
    esac
}
complete -F _ersatzctl ersatzctl
