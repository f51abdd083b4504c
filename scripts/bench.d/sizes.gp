# SPDX-License-Identifier: Apache-2.0
# AES over the length of the message: throughput above, latency below, a column for each cipher.
set terminal svg size 1000, 760 dynamic
ciphers = system(sprintf("awk -F'\\t' 'NR > 1 && !seen[$11]++ { print $11 }' \"%s\"", data))
many = many_of(data)
of(cipher, variant) = sprintf("< awk -F'\\t' '$11 == \"%s\" && $2 == \"%s\"' \"%s\"", cipher, variant, data)

set multiplot layout 2, words(ciphers) title machine font ",11" textcolor rgb grey
set logscale x 2
set xrange [230:73000]
set xlabel "bytes in a message" textcolor rgb ink
set xtics ("256" 256, "1K" 1024, "4K" 4096, "16K" 16384, "64K" 65536)
set yrange [0:*]; set offsets 0, 0, graph 0.25, 0
do for [c in ciphers] {
    set title (label(c) . ", GB/s") textcolor rgb ink
    plot of(c, "plain") using 12:($10/1e9) with linespoints pt 7 ps 0.4 lw 2 lc rgb grey title "plain OpenSSL", \
        of(c, "sync") using 12:($10/1e9) with linespoints pt 7 ps 0.4 lw 2 lc rgb orange title "engine, no jobs", \
        of(c, many) using 12:($10/1e9) with linespoints pt 7 ps 0.4 lw 2 lc rgb blue title "card, " . many . " jobs"
}
set logscale y; set yrange [*:*]; set format y microseconds
do for [c in ciphers] {
    set title (label(c) . ", from start to result") textcolor rgb ink
    plot of(c, "plain") using 12:($5 * 1e-6) with linespoints pt 7 ps 0.4 lw 2 lc rgb grey title "plain OpenSSL", \
        of(c, many) using 12:($5 * 1e-6) with linespoints pt 7 ps 0.4 lw 2 lc rgb blue title "card, " . many . " jobs", \
        of(c, many) using 12:($6 * 1e-6) with lines lw 1.5 dt 3 lc rgb blue title "99th percentile"
}
unset multiplot
