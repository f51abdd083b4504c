/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that nginx's asynchronous fork sends to Intel's engine, as it sends them. Its master sets the
 * engine up, computes nothing, and does the same again when it reads its configuration again. Its workers are
 * forks of it. They watch the counters of requests in flight, and poll while something is in flight; when
 * they shut down, they give the engine back before their end.
 */
#include <openssl/engine.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 4       /* of each kind */
#define ASYMMETRIC 1 /* the fork's counters: from 1 to 6 */
#define CIPHER 3
#define COUNTERS 7

static int ask(struct card *card, const char *command)
{
    int answer = -1;

    CHECK_EQ(ENGINE_ctrl_cmd(card_engine(card), command, 0, &answer, NULL, 0), 1);
    return answer;
}

/* Where the counters are, before the worker has a card. */
static void find_counters(struct card *card, int *counters[COUNTERS])
{
    for (int i = ASYMMETRIC; i < COUNTERS; i++) {
        counters[i] = NULL;
        CHECK_EQ(ENGINE_ctrl_cmd(
                     card_engine(card), "GET_NUM_REQUESTS_IN_FLIGHT", i, (void *)&counters[i], NULL, 0),
            1);
        CHECK_EQ(*counters[i], 0);
    }
}

static int in_flight(int *const counters[COUNTERS])
{
    int sum = 0;

    for (int i = ASYMMETRIC; i < COUNTERS; i++)
        sum += *counters[i];
    return sum;
}

static void serve(struct card *card, int *const counters[COUNTERS])
{
    struct work *works[2 * JOBS];
    struct job jobs[2 * JOBS];

    card_command(card, "HOLD", "compute");
    for (int i = 0; i < 2 * JOBS; i++) {
        works[i] = i < JOBS ? work_rsa(card, (unsigned char)i) : work_aes(card, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    CHECK_EQ(*counters[ASYMMETRIC], JOBS);
    CHECK_EQ(*counters[CIPHER], JOBS);
    CHECK_EQ(in_flight(counters), 2 * JOBS);
    CHECK_EQ(ask(card, "POLL"), 0); /* nothing to take is no failure */
    CHECK_EQ(in_flight(counters), 2 * JOBS);
    card_command(card, "HOLD", "none");
    while (in_flight(counters) > 0)
        CHECK_EQ(ask(card, "POLL"), 0);
    for (int i = 0; i < 2 * JOBS; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

/* The fork calls the finish function itself, and ENGINE_finish() at its end calls it again. */
static void give_back(struct card *card)
{
    ENGINE_GEN_INT_FUNC_PTR finish = ENGINE_get_finish_function(card_engine(card));

    CHECK_EQ(finish(card_engine(card)), 1);
    CHECK(card_refuses(card, "POLL", NULL, "ENGINE_finish"));
    card_finish(card);
    CHECK(card_refuses(card, "POLL", NULL, "ENGINE_finish"));
}

static int worker(struct card *card)
{
    int *counters[COUNTERS];

    test_begin(60); /* alarms are not inherited */
    find_counters(card, counters);
    CHECK_EQ(ask(card, "HEARTBEAT_POLL"), 0);
    serve(card, counters);
    give_back(card);
    card_init(card); /* after which one reference is one again */
    CHECK_EQ(ask(card, "POLL"), 0);
    card_finish(card);
    CHECK(card_refuses(card, "POLL", NULL, "ENGINE_finish"));
    return 7;
}

static void run_worker(struct card *card)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        exit(worker(card));
    child_exits_with(pid, 7);
}

int main(void)
{
    static const char *const again[] = {
        "ENABLE_SW_FALLBACK", "ENABLE_EXTERNAL_POLLING", "ENABLE_HEURISTIC_POLLING"};
    struct card *card;

    test_begin(60);
    card = card_load("ENABLE_SW_FALLBACK;ENABLE_EXTERNAL_POLLING;ENABLE_HEURISTIC_POLLING;WORKERS:1");
    run_worker(card);
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
        card_command(card, again[i], NULL);
    card_finish(card);
    card_init(card);
    run_worker(card);
    card_unload(card);
    return 0;
}
