/* SPDX-License-Identifier: Apache-2.0 */
/* The sums over all processes. */
#ifndef ERSATZ_RUN_TOTALS_H
#define ERSATZ_RUN_TOTALS_H

#include "run.h"

struct totals {
    uint64_t requests[ERSATZ_REQUEST_NAMES], accepted; /* accepted: their sum */
    uint64_t completed, failed, retries, batches, wakeups, callbacks, orphans, computed_inline;
    uint64_t in_flight_max;                   /* the maximum over the processes */
    uint64_t faults[ERSATZ_FAULTS], injected; /* injected: their sum */
    unsigned loaded, started; /* processes that loaded the engine, and that started the card */
    bool asked;               /* for more than random numbers need: see struct ersatz_stats */
    bool checked;
    bool profile; /* some process had a profile */
    bool jobs;    /* some job used the card */
    uint64_t watched, findings, by_finding[ERSATZ_FINDINGS];
    uint64_t seed; /* of the first card that was started, or the default if none was */
};

void totals_of(struct totals *totals, const struct records *records, const char *seed);

#endif
