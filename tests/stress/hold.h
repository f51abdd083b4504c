/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that holds requests at random points of their life, and lets them go, one by one or all. */
#ifndef ERSATZ_STRESS_HOLD_H
#define ERSATZ_STRESS_HOLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "random.h"

struct hold {
    struct card *card;
    struct random random;
    pthread_t thread;
    _Atomic bool ending;
};

void hold_begin(struct hold *hold, struct card *card, uint64_t seed);

/* Everything is let go. */
void hold_end(struct hold *hold);

#endif
