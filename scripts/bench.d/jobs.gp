# SPDX-License-Identifier: Apache-2.0
# Throughput and latency over jobs in flight; a row of pictures for each kind of work.
set terminal svg size 1000, 820 dynamic
works = works_of(data)
rsa = ""; aes = ""
do for [w in works] { if (w[1:3] eq "rsa") { rsa = rsa . " " . w } else { aes = aes . " " . w } }
colours = blue . " " . orange . " " . green . " " . purple

set multiplot layout 2, 2 title machine font ",11" textcolor rgb grey
set logscale x 2
set xrange [0.9:570]
set xlabel "jobs in flight" textcolor rgb ink
set xtics ("1" 1, "2" 2, "4" 4, "8" 8, "16" 16, "32" 32, "64" 64, "128" 128, "256" 256, "512" 512)
do for [kind in "RSA AES"] {
    works = kind eq "RSA" ? rsa : aes
    if (words(works) == 0) { set multiplot next; set multiplot next; continue }
    unset logscale y; set format y "%g"; set yrange [0:*]; set offsets 0, 0, graph 0.2, 0
    set title (kind . ": times plain OpenSSL on one core") textcolor rgb ink
    plot for [i = 1:words(works)] jobs_of(data, word(works, i)) using 2:4 with linespoints pt 7 ps 0.5 lw 2 lc rgb word(colours, i) title label(word(works, i)), \
        1 with lines lc rgb grey dt 2 title "plain OpenSSL"
    set logscale y; set format y microseconds; set yrange [*:*]; set offsets 0, 0, graph 0.1, 0
    set title (kind . ": from start to result, median and 99th percentile") textcolor rgb ink
    plot for [i = 1:words(works)] jobs_of(data, word(works, i)) using 2:($5 * 1e-6) with linespoints pt 7 ps 0.5 lw 2 lc rgb word(colours, i) title label(word(works, i)), \
        for [i = 1:words(works)] jobs_of(data, word(works, i)) using 2:($6 * 1e-6) with lines lw 1.5 dt 3 lc rgb word(colours, i) notitle, \
        NaN with lines lw 1.5 dt 3 lc rgb ink title "99th percentile"
}
unset multiplot
