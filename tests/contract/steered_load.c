/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 64 jobs run while a client of the control socket holds the card, resets it, takes it away, brings it back
 * and replaces its faults, in quick succession, and more clients connect than are served. The client dies
 * with the card held. Every job ends, and once the card is left alone, every operation succeeds.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "control_client.h"
#include "scratch.h"
#include "support/card.h"
#include "support/work.h"

#define SOCKET "./socket"
#define JOBS 64
#define COMMANDS 440
#define FLOOD 80 /* clients at a time, of which 64 are served */

static int clients[2]; /* connected before the flood */
static _Atomic bool left_alone;
static struct card *card;
static struct job jobs[JOBS];
static struct work *works[JOBS];

static long hung(void)
{
    return card_has_count(card, "hang") ? card_count(card, "hang") : 0;
}

static void *steer_wildly(void *arg)
{
    static const char *const commands[][2] = {{"HOLD", "compute"},
        {"FAULTS", "hang=30%,late=20%:1ms,reorder=30%:1ms"}, {"RELEASE", "5"}, {"RESET", "1"},
        {"HOLD", "signal"}, {"GONE", NULL}, {"FAULTS", "ring_full=20%:1ms,hang=10x,burst=5:2ms"},
        {"BACK", NULL}, {"RELEASE", "50"}, {"HOLD", "none"}, {"RESET", "0"}};
    long before;
    const unsigned count = sizeof(commands) / sizeof(commands[0]);

    for (unsigned i = 0; i < COMMANDS; i++) { /* each time round in the same order, from another one on */
        const char *const *command = commands[(i * 7 + i / count) % count];

        control_steer(clients[0], command[0], command[1]);
        if (i % 5 == 0)
            usleep(500);
    }
    control_steer(clients[0], "BACK", NULL);
    control_steer(clients[0], "HOLD", "none");
    before = hung();
    control_steer(clients[0], "FAULTS", "hang=20x");
    while (hung() < before + 20)
        usleep(1000);
    control_steer(clients[0], "HOLD", "compute");
    close(clients[0]);
    control_steer(clients[1], "FAULTS", "none");
    control_steer(clients[1], "HOLD", "none");
    control_steer(clients[1], "BACK", NULL);
    control_steer(clients[1], "RESET", "0"); /* those that hang fail */
    close(clients[1]);
    left_alone = true;
    return arg;
}

static void flood(void)
{
    int fds[FLOOD];

    for (int i = 0; i < FLOOD; i++)
        fds[i] = control_connect(SOCKET, SOCK_NONBLOCK);
    for (int i = 0; i < FLOOD; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static void run(struct job *job)
{
    CHECK(job_run(job) == ASYNC_PAUSE || job->result == 1 ||
          error_speaks_of("injected fault of the simulated card"));
    ERR_clear_error();
}

/* A job that has ended begins again, unless it has succeeded on a card that was left alone before: true. */
static bool is_over(unsigned i, bool alone)
{
    if (jobs[i].job != NULL)
        return false;
    if (alone && jobs[i].result == 1)
        return true;
    job_free(&jobs[i]);
    job_init(&jobs[i], BY_FD, work_do, works[i]);
    run(&jobs[i]);
    return false;
}

/* Returns how many jobs are over. */
static unsigned run_all(void)
{
    struct pollfd fds[JOBS];
    bool alone = left_alone;
    unsigned over = 0;

    for (unsigned i = 0; i < JOBS; i++) {
        bool is = is_over(i, alone);

        over += is;
        fds[i] = (struct pollfd){.fd = jobs[i].job == NULL ? -1 : job_fd(&jobs[i]), .events = POLLIN};
    }
    CHECK(poll(fds, JOBS, 1) >= 0);
    for (unsigned i = 0; i < JOBS; i++) {
        if (fds[i].revents != 0)
            run(&jobs[i]);
    }
    return over;
}

int main(void)
{
    pthread_t client;

    test_begin(60);
    scratch_enter();
    card = card_load("CONTROL:" SOCKET ";WORKERS:2;RING_DEPTH:32;INIT_ENGINE");
    for (unsigned i = 0; i < 2; i++) {
        clients[i] = control_connect(SOCKET, 0);
        CHECK(clients[i] >= 0);
    }
    for (unsigned i = 0; i < JOBS; i++) {
        works[i] = i % 4 == 3 ? work_rsa(card, (unsigned char)i) : work_aes(card, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        run(&jobs[i]);
    }
    CHECK_EQ(pthread_create(&client, NULL, steer_wildly, NULL), 0);
    for (unsigned round = 0; run_all() < JOBS; round++) {
        if (round % 20 == 0)
            flood();
    }
    CHECK_EQ(pthread_join(client, NULL), 0);
    for (unsigned i = 0; i < JOBS; i++) {
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    card_unload(card);
    scratch_remove();
    return 0;
}
