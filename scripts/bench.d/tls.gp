# SPDX-License-Identifier: Apache-2.0
# Full TLS handshakes: how many, and what each costs the server.
set terminal svg size 1000, 420 dynamic
set multiplot layout 1, 2 title machine font ",11" textcolor rgb grey
set style data histogram
set style histogram cluster gap 1
set style fill solid border lc rgb "#ffffff"
set boxwidth 0.9
set yrange [0:*]; set offsets 0, 0, graph 0.25, 0
set xrange [-0.6:words(works_of(data)) - 0.4]
set xtics scale 0
set title "full handshakes a second" textcolor rgb ink
plot variant_of(data, "plain") using 3:xtic(label(strcol(1))) lc rgb grey title "HAProxy", \
    variant_of(data, "card") using 3 lc rgb blue title "HAProxy with ssl-mode-async, the card"
set title "processor time of the server for one, in microseconds" textcolor rgb ink
plot variant_of(data, "plain") using 7:xtic(label(strcol(1))) lc rgb grey notitle, \
    variant_of(data, "card") using 7 lc rgb blue notitle
unset multiplot
