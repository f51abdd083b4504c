# SPDX-License-Identifier: Apache-2.0
# Completes the command line of ersatz-top in bash. The options come from ersatz-top --help.
# shellcheck shell=bash disable=SC2207 # what is completed contains no spaces

_ersatz_top() {
    local program=$1 word=$2
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$("$program" --help 2>/dev/null | grep -oE '^  --[a-z-]+')" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word")) # records, and directories of them
    fi
}
complete -F _ersatz_top ersatz-top
