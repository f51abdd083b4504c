# SPDX-License-Identifier: Apache-2.0
# For a glance: how many times plain OpenSSL (bars), and what jobs in flight cost (lines).
set terminal svg size 1000, 400 dynamic
jobs = dir . "/jobs.tsv"
many = many_of(data)
set multiplot layout 1, 2 title machine font ",11" textcolor rgb grey

set title ("throughput with " . many . " jobs in flight, times plain OpenSSL") textcolor rgb ink
set style fill solid border lc rgb "#ffffff"
set lmargin 24
set border 2
unset grid
unset xtics
set xrange [0:*]; set offsets 0, graph 0.1, 0.5, 0.5
set yrange [*:*] reverse
set ytics scale 0
unset key
bars = sprintf("< awk -F'\\t' '$2 == \"%s\" { print n++ \"\\t\" $0 }' \"%s\"", many, data)
plot bars using (0.5 * $5):1:(0.5 * $5):(0.36):ytic(label(strcol(2))) with boxxyerror lc rgb blue, \
    bars using 5:1:(sprintf(" %.1f", $5)) with labels left textcolor rgb ink

set lmargin 10
set border 3
set grid ytics lc rgb "#e4e4e4" lt 1 lw 0.7
set autoscale x; set logscale x 2; set xrange [0.9:570]
set xtics nomirror ("1" 1, "4" 4, "16" 16, "64" 64, "256" 256) scale 0.5
set xlabel "jobs in flight" textcolor rgb ink
set logscale y; set yrange [*:*] noreverse; set offsets 0, 0, 0, 0
set ytics autofreq scale 0.5
set format y microseconds
set key left top
set title "RSA-2048 sign, from start to result" textcolor rgb ink
plot jobs_of(jobs, "rsa2048-sign") using 2:($5 * 1e-6) with linespoints pt 7 ps 0.5 lw 2 lc rgb blue title "median", \
    jobs_of(jobs, "rsa2048-sign") using 2:($6 * 1e-6) with linespoints pt 7 ps 0.5 lw 2 lc rgb orange title "99th percentile"
unset multiplot
