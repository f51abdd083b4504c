/* The counts of all processes together. */
#ifndef ERSATZ_RUN_TOTALS_H
#define ERSATZ_RUN_TOTALS_H

#include "run.h"

struct totals {
    uint64_t requests[ERSATZ_REQUEST_NAMES], accepted; /* accepted: all of them */
    uint64_t completed, failed, retries, batches, wakeups, callbacks, orphans, computed_inline;
    uint64_t in_flight_max; /* of one process */
    uint64_t faults[ERSATZ_FAULTS];
    unsigned loaded, started; /* processes that loaded the engine, and that started the card */
    bool checked;
    uint64_t watched, findings;
};

void totals_of(struct totals *totals, const struct records *records);

#endif
