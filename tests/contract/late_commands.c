/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that use the device, from a thread that has no functional reference, as one that polls: when the
 * last one goes they find the card there until they are done, or are refused; they start none that nobody
 * would stop.
 */
#include <openssl/engine.h>
#include <pthread.h>
#include <stdatomic.h>

#include "proc.h"
#include "support/card.h"
#include "support/work.h"

#define ROUNDS 100

static struct card *card;
static _Atomic bool over;
static _Atomic int rounds; /* of the threads, together */

static const struct {
    const char *name;
    long number;
    const char *text;
    bool answers;
} commands[] = {{"POLL", 0, NULL, true}, {"HEARTBEAT_POLL", 0, NULL, true},
    {"GET_EXTERNAL_POLLING_FD", 0, NULL, true}, {"HOLD", 0, "none", false}, {"RELEASE", 1, NULL, false}};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int command(unsigned i, int *answer)
{
    return ENGINE_ctrl_cmd(card_engine(card), commands[i].name, commands[i].number,
        commands[i].answers ? (void *)answer : (void *)(uintptr_t)commands[i].text, NULL, 0);
}

static void *command_on(void *arg)
{
    while (!atomic_load(&over)) {
        for (unsigned i = 0; i < COMMANDS; i++) {
            int answer;

            if (!command(i, &answer))
                CHECK(error_speaks_of("last user"));
        }
        atomic_fetch_add(&rounds, 1);
    }
    return arg;
}

static void race_with_the_last_finish(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, command_on, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int before = atomic_load(&rounds);

        card_command(card, "INIT_ENGINE", NULL);
        while (i % 2 == 0 && atomic_load(&rounds) == before)
            sched_yield();
        card_finish(card);
        while (i % 3 == 0 && atomic_load(&rounds) < before + 3)
            sched_yield();
        card_init(card);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void refused_when_given_back(int tasks)
{
    int answer;

    CHECK(command(0, &answer) && answer == 0); /* starts the card for the user there is */
    CHECK(count_threads() > tasks);
    card_finish(card);
    for (unsigned i = 0; i < COMMANDS; i++) {
        answer = 1;
        CHECK(!command(i, &answer));
        CHECK(error_speaks_of("last user"));
        CHECK_EQ(answer, i < 2 ? -1 : 1); /* who asks for a status gets one */
    }
    while (count_threads() != tasks)
        usleep(100);                         /* one that stays hangs the test */
    card_command(card, "INIT_ENGINE", NULL); /* says what it wants */
    CHECK(card_number(card, "GET_EXTERNAL_POLLING_FD") >= 0);
    card_init(card);
}

static int give_back(void *arg)
{
    struct work *work = arg;

    work_set_key(work, NULL);
    card_finish(card);
    return 1;
}

/* The last reference goes in a callback that POLL runs: the card stops when POLL is done. */
static void given_back_in_poll(int tasks)
{
    struct work *work = work_rsa(card, 1);
    int threads = count_threads(), status = -1;
    struct job job;

    job_init(&job, BY_CALLBACK, work_do, work);
    CHECK(ASYNC_WAIT_CTX_set_callback(job.context, give_back, work));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_wait_for(card, "completed", 1);
    CHECK(threads > tasks);
    CHECK(command(0, &status) && status == 0);
    while (command(0, &status)) /* the completion may come late, where the card has faults */
        sched_yield();
    CHECK_EQ(status, -1);
    while (count_threads() != tasks)
        usleep(100);
}

int main(void)
{
    int tasks = count_threads(); /* the sanitizers' are among them */

    test_begin(100);
    card = card_load("ENABLE_EXTERNAL_POLLING;WORKERS:1;INSTANCES:2");
    race_with_the_last_finish();
    refused_when_given_back(tasks);
    given_back_in_poll(tasks);
    card_init(card);
    card_unload(card);
    return 0;
}
