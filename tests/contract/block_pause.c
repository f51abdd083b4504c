/* SPDX-License-Identifier: Apache-2.0 */
/* N6: where ASYNC_block_pause() is in force the operation completes all the same, and costs no core while it
 * waits. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define HELD_MS 300

/* How often the waiting thread may look without having slept for a millisecond before: 1,000 times in the
 * beginning (driver/offload.c), and when it was woken. */
#define LOOKS_AWAKE 1010

static void *release_later(void *card)
{
    usleep(HELD_MS * 1000);
    card_command(card, "HOLD", "none");
    return NULL;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run(struct card *card, enum told_by told_by, int callbacks, struct work *work)
{
    struct job job;
    pthread_t thread;
    long early = card_count(card, "early_resumes"), spent;

    card_command(card, "HOLD", "compute");
    CHECK_EQ(pthread_create(&thread, NULL, release_later, card), 0);
    job_init(&job, told_by, work_do_blocked, work);
    spent = now_ms();
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    spent = now_ms() - spent;
    CHECK_EQ(job.result, 1);
    CHECK_EQ(job.callbacks, callbacks);
    early = card_count(card, "early_resumes") - early;
    CHECK(early <= LOOKS_AWAKE + spent); /* whatever the machine does, a sleep takes no less than its time */
    pthread_join(thread, NULL);
    job_free(&job);
}

static void run_all(const char *commands, int callbacks)
{
    struct card *card = card_load(commands);
    struct work *rsa = work_rsa(card, 5), *aes = work_aes(card, 6);

    run(card, BY_FD, 0, rsa);
    run(card, BY_FD, 0, aes);
    run(card, BY_CALLBACK, callbacks, rsa);
    run(card, BY_CALLBACK, callbacks, aes);
    work_free(rsa);
    work_free(aes);
    card_unload(card);
}

int main(int argc, char **argv)
{
    (void)argv;
    test_begin(60);
    if (argc > 1)
        run_all("ENABLE_EXTERNAL_POLLING", 0); /* nobody polls: the waiting thread takes its own completion */
    else
        run_all(NULL, 1);
    return 0;
}
