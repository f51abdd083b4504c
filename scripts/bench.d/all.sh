# SPDX-License-Identifier: Apache-2.0
# Mode "all": everything, and a picture of the most important.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

mode_all() {
    mode_speed
    echo
    mode_jobs
    echo
    mode_sizes
    echo
    mode_modes
    echo
    mode_tls
    echo
    mode_cores
    echo
    mode_targets
    plot overview "$results/overview.svg" "$results/speed.tsv"
}
