# SPDX-License-Identifier: Apache-2.0
# From raw lines to medians and ratios, tables and plots.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# Its name does not always say what it is.
processor() {
    awk -F'[ \t]*: ' '$1 == "model name" { name = $2 } $1 == "cpu family" { family = $2 } $1 == "model" { model = $2 }
        $1 == "" { exit }
        END { if (name == "") name = "a processor without a name"; if (family != "") name = name " (family " family ", model " model ")"; print name }' /proc/cpuinfo
}

here() {
    echo "$(nproc) cores of $(processor), Linux $(uname -r), $(openssl version | cut -d' ' -f1-2)"
}

# summarize RAW SUMMARY [BASE]: for each work, variant and metric the median over the rounds, and the median of its ratios to the
# variant BASE, "plain" if not given, in the same round ("-" if there is none). Of a number N of jobs, also that of its ratios to
# "plain-N": with as many messages in turn.
summarize() {
    { printf 'work\tvariant\tmetric\tmedian\tratio\tmany\n'; awk -F'\t' -v base="${3:-plain}" -f scripts/bench.d/summary.awk "$1"; } >"$2"
}

# A figure is clean while others use less of the machine than this.
clean=0.1 # cores

# tell_cleanliness SUMMARY: how much others used the machine, and which figures are therefore not clean.
tell_cleanliness() {
    awk -F'\t' -v clean=$clean '
        $3 != "others" { next }
        { n++; if ($4 > most) most = $4; if ($4 > clean) { bad++; if (bad <= 8) list = list sprintf("%s%s %s (%.2f)", bad > 1 ? ", " : "", $1, $2, $4) } }
        END {
            if (!bad) printf "Clean: others used at most %.2f cores meanwhile (median over the rounds of each figure).\n", most
            else printf "NOT CLEAN: others used more than %s cores during %d of %d figures: %s%s\n", clean, bad, n, list, (bad > 8 ? ", ..." : "")
        }' "$1"
}

# look_up SUMMARY WORK VARIANT METRIC median|ratio
look_up() {
    awk -F'\t' -v w="$2" -v v="$3" -v m="$4" -v column="$([ "$5" = median ] && echo 4 || echo 5)" '
        $1 == w && $2 == v && $3 == m { print $column; found = 1 } END { exit !found }' "$1"
}

# lines_with MEASURES SUMMARY: lines of work, variant, and the named columns: "rate" is a median, "rate/plain" a ratio, "rate/many" that to
# as many messages.
lines_with() {
    awk -F'\t' -v OFS='\t' -v columns="$1" '
        NR == 1 { next }
        { key = $1 FS $2; if (!(key in seen)) { seen[key] = 1; order[++n] = key } value[key, $3] = $4; value[key, $3 "/plain"] = $5; value[key, $3 "/many"] = $6 }
        END {
            count = split(columns, column, " ")
            line = "work" OFS "variant"; for (i = 1; i <= count; i++) line = line OFS column[i]
            print line
            for (k = 1; k <= n; k++) {
                line = order[k]
                for (i = 1; i <= count; i++) line = line OFS ((order[k], column[i]) in value ? value[order[k], column[i]] : "-")
                print line
            }
        }' "$2"
}

# plot NAME OUT DATA: the picture scripts/bench.d/NAME.gp, from files of ours.
plot() {
    if ! command -v gnuplot >/dev/null; then
        echo "scripts/bench: no gnuplot, no $2" >&2
        return 0
    fi
    gnuplot -e "out='$2'; data='$3'; dir='$results'; machine='$(here | sed "s/'//g")'" scripts/bench.d/style.gp "scripts/bench.d/$1.gp"
}
