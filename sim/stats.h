/* Counting what calling cores do. */
#ifndef ERSATZ_SIM_STATS_H
#define ERSATZ_SIM_STATS_H

#include "ersatz/stats.h"

void stats_count_inline(struct ersatz_stats *stats, enum ersatz_kernel kernel);

#endif
