/* Counting what calling cores do. */
#ifndef ERSATZ_SIM_STATS_H
#define ERSATZ_SIM_STATS_H

#include "ersatz/profile.h"
#include "ersatz/stats.h"

void stats_count_inline(struct ersatz_stats *stats, enum ersatz_kernel kernel);

/* Whose times the card keeps from now on; NULL: nobody's. */
void stats_name_profile(struct ersatz_stats *stats, const struct ersatz_profile *profile);

#endif
