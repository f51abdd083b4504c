/* SPDX-License-Identifier: Apache-2.0 */
/* Before it takes fewer requests than its kernel computes at once, a worker may wait a moment for more. */
#ifndef ERSATZ_SIM_DEVICE_COMPANY_H
#define ERSATZ_SIM_DEVICE_COMPANY_H

#include <stdbool.h>

struct ersatz_op;
struct worker;

/* The worker's own. */
struct company {
    unsigned usual; /* operations in a batch: a moving average, times COMPANY_UNIT */
    bool crowded;   /* other threads wanted the core when the worker last looked */
    bool napped;    /* before the last batch was taken */
    bool in_long_slices;
};

#define COMPANY_UNIT 8u

/* Before the worker starts. */
void company_init(struct company *company);

/* Called before the worker takes a batch: lets other threads run if that is likely to fill the batch. True:
 * the worker has slept a moment instead of taking a part of a batch from a worker that is awake; it calls
 * this again. */
bool company_awaited(struct worker *worker);

/* How many requests to take instead of this worker's share of those that wait. */
unsigned company_share(const struct worker *worker, unsigned share);

/* The worker has taken a batch of `count` operations; first is one of them. */
void company_came(struct worker *worker, const struct ersatz_op *first, unsigned count);

#endif
