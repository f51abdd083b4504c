# SPDX-License-Identifier: Apache-2.0
# What the pictures share. Variables: out, the file; data, the table; dir, where the other tables are; machine, its name.
set terminal svg size 1000, 480 dynamic font "DejaVu Sans,Helvetica,Arial,sans-serif,13" background "#ffffff"
set output out
set datafile separator "\t"
set border 3 lc rgb "#999999"
set tics nomirror textcolor rgb "#333333" scale 0.5
set mytics 1
set grid ytics lc rgb "#e4e4e4" lt 1 lw 0.7
set key left top Left reverse textcolor rgb "#333333" samplen 2 spacing 1.15
blue = "#0072b2"; orange = "#e69f00"; green = "#009e73"; grey = "#888888"; purple = "#aa5599"; ink = "#333333"
microseconds = "%.0s %cs" # of values in seconds

# The lines of one work: all its numbers of jobs. And those of one variant.
jobs_of(file, work) = sprintf("< awk -F'\\t' '$1 == \"%s\" && $2 ~ /^[0-9]+$/' \"%s\"", work, file)
variant_of(file, variant) = sprintf("< awk -F'\\t' '$2 == \"%s\"' \"%s\"", variant, file)
works_of(file) = system(sprintf("awk -F'\\t' 'NR > 1 && !seen[$1]++ { print $1 }' \"%s\"", file))
many_of(file) = system(sprintf("awk -F'\\t' '$2 ~ /^[0-9]+$/ { print $2; exit }' \"%s\"", file))

# As people write it: RSA-2048 sign, AES-128-CBC 16 KiB, TLS 1.3 RSA-2048.
label(work) = system(sprintf("echo '%s' | sed -E 's/^tls(1.[23])-/TLS \\1 /; s/rsa([0-9]+)-?/RSA-\\1 /; s/^aes[^:]*/\\U&/; s/:16384$/ 16 KiB/; s/:([0-9]+)$/ \\1 B/; s/ $//'", work))
