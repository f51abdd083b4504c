/* SPDX-License-Identifier: Apache-2.0 */
/* Holds and releases. */
#include "hold.h"

#include "check.h"
#include "support/card.h"

static void let_some_go(struct hold *hold)
{
    for (uint64_t i = random_below(&hold->random, 4); i-- > 0;) {
        char number[16];

        snprintf(number, sizeof(number), "%d", 1 + (int)random_below(&hold->random, 20));
        card_command(hold->card, "RELEASE", number);
        usleep((useconds_t)random_below(&hold->random, 300));
    }
}

static void *hold_run(void *arg)
{
    static const char *const places[] = {"compute", "signal", "none"};
    struct hold *hold = arg;

    while (!atomic_load(&hold->ending)) {
        card_command(hold->card, "HOLD", places[random_below(&hold->random, 3)]);
        usleep((useconds_t)random_below(&hold->random, 1000));
        let_some_go(hold);
    }
    card_command(hold->card, "HOLD", "none");
    return NULL;
}

void hold_begin(struct hold *hold, struct card *card, uint64_t seed)
{
    hold->card = card;
    hold->random = random_from(seed, 5000, 0);
    atomic_store(&hold->ending, false);
    CHECK_EQ(pthread_create(&hold->thread, NULL, hold_run, hold), 0);
}

void hold_end(struct hold *hold)
{
    atomic_store(&hold->ending, true);
    pthread_join(hold->thread, NULL);
}
