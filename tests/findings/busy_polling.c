/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resumes its job in a loop, instead of waiting for the descriptor (or, with `callback`, for the callback);
 * or
 * (`slowly`) now and then, whether it was told or not.
 */
#include <time.h>

#include "wrong.h"

#define SLOWLY 12
#define SLOWLY_US 200000

static double now(void)
{
    struct timespec time;

    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &time), 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What takes no processor time is time all the same. */
static void poll_slowly(struct card *card, struct job *job)
{
    double before = now(), first, last;

    start_signing(card, job, BY_FD);
    first = now();
    for (int i = 0; i < SLOWLY; i++) {
        usleep(SLOWLY_US);
        last = now();
        CHECK_EQ(job_run(job), ASYNC_PAUSE);
    }
    before = now() - before;
    card_command(card, "HOLD", "none");
    finish_signing(job);
    CHECK_EQ(card_count(card, "early_resumptions"), SLOWLY);
    /* Whole seconds: the counters are read as such. */
    CHECK(card_count(card, "polled_for_seconds") >= (long)(last - first));
    CHECK(card_count(card, "polled_for_seconds") <= (long)before);
    CHECK_EQ(card_count(card, "polling_seconds"), 0);
}

int main(int argc, char **argv)
{
    enum told_by told_by = has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD;
    bool mended = has_argument(argc, argv, "mended");
    struct card *card = load_checked(NULL);
    struct job job;

    card_command(card, "HOLD", "compute");
    if (has_argument(argc, argv, "slowly") && !mended) {
        poll_slowly(card, &job);
        unload_used(card);
        return 0;
    }
    start_signing(card, &job, told_by);
    for (int i = 0; i < 300 && !mended; i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!mended)
        CHECK_EQ(card_count(card, "early_resumptions"), 300);
    card_command(card, "HOLD", "none");
    finish_signing(&job);
    unload_used(card);
    return 0;
}
