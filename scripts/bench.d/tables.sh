# SPDX-License-Identifier: Apache-2.0
# Tables: lines with tabs between their columns, the first line is the head. How to make one, and how to show it.
# shellcheck shell=bash disable=SC2154 # scripts/bench sets results, rounds and others

# pivot HEAD: from lines of "row, column, value" a table with the rows and columns in the order in which they come.
pivot() {
    awk -F'\t' -v head="$1" '
        { if (!($1 in seen_row)) { seen_row[$1] = 1; row[++rows] = $1 }
          if (!($2 in seen_column)) { seen_column[$2] = 1; column[++columns] = $2 }
          value[$1, $2] = $3 }
        END {
            line = head
            for (c = 1; c <= columns; c++) line = line "\t" column[c]
            print line
            for (r = 1; r <= rows; r++) {
                line = row[r]
                for (c = 1; c <= columns; c++) line = line "\t" value[row[r], column[c]]
                print line
            }
        }'
}

# The first column to the left, the others to the right.
as_text() {
    awk -F'\t' '
        { lines = NR; for (c = 1; c <= NF; c++) { cell[NR, c] = $c; if (length($c) > width[c]) width[c] = length($c) } if (NF > columns) columns = NF }
        END {
            for (l = 1; l <= lines; l++) {
                line = sprintf("%-*s", width[1], cell[l, 1])
                for (c = 2; c <= columns; c++) line = line sprintf("  %*s", width[c], cell[l, c])
                print line
            }
        }'
}

as_markdown() {
    awk -F'\t' '
        { line = "|"; for (c = 1; c <= NF; c++) line = line " " $c " |"; print line }
        NR == 1 { line = "|"; for (c = 1; c <= NF; c++) line = line "---|"; print line }'
}

# speed_table SUMMARY: each work, plain as it is, and each other variant as a multiple of it, with the cores that it used.
speed_table() {
    local work_name variant cell
    awk -F'\t' -v OFS='\t' '
        function human(work, value) { return work ~ /^rsa/ ? sprintf("%.0f/s", value) : sprintf("%.2f GB/s", value / 1e9) }
        function rank(variant) { # the column
            if (variant ~ /^against-/) return 20 + rank(substr(variant, 9))
            return variant ~ /^plain/ ? 0 : variant == "sync" ? 1 : variant == "1" ? 2 : variant == "fastest-1" ? 3 : variant ~ /^[0-9]/ ? 4 : 5
        }
        $3 == "rate" { order[++n] = $1 SUBSEP $2; rate[$1, $2] = $4; ratio[$1, $2] = $5 }
        $3 == "cores" { cores[$1, $2] = $4 }
        END {
            for (column = 0; column < 40; column++)
                for (k = 1; k <= n; k++) {
                    split(order[k], part, SUBSEP)
                    if (rank(part[2]) == column)
                        print part[1], part[2], part[2] == "plain" ? human(part[1], rate[order[k]]) \
                            : sprintf("%.2f (%.1f)", ratio[order[k]], cores[order[k]])
                }
        }' "$1" | while IFS=$'\t' read -r work_name variant cell; do
        printf '%s\t%s\t%s\n' "$work_name" "$(heading_for "$variant")" "$cell"
    done | pivot work
}

# heading_for VARIANT: short words for a column.
heading_for() {
    local other=${against#provider:}
    case $1 in
    *-x2) echo "$(heading_for "${1%-x2}"), x2" ;;
    against-*) echo "${other##*/}, $(heading_for "${1#against-}")" ;;
    fastest-1) echo "fastest, 1 job" ;;
    1) echo "1 job" ;;
    [0-9]*) echo "$1 jobs" ;;
    *) echo "$1" ;;
    esac
}
