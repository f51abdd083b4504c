# SPDX-License-Identifier: Apache-2.0
# Throughput as a multiple of plain OpenSSL's: bars.
set title machine font ",11" textcolor rgb grey
many = many_of(data)
set style data histogram
set style histogram cluster gap 1
set style fill solid border lc rgb "#ffffff"
set boxwidth 0.9
set yrange [0:*]; set offsets 0, 0, graph 0.2, 0
set xrange [-0.6:words(works_of(data)) - 0.4]
set ylabel "times plain OpenSSL on one core" textcolor rgb ink
set xtics rotate by -20 scale 0
plot variant_of(data, "sync") using 4:xtic(label(strcol(1))) lc rgb orange title "engine, no jobs", \
    variant_of(data, many) using 4 lc rgb blue title "card, " . many . " jobs", \
    1 with lines lc rgb grey dt 2 title "plain OpenSSL"
