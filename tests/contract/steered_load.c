/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 64 jobs run while a client of the control socket holds the card, resets it, takes it away, brings it back
 * and replaces its faults, in quick succession, and more clients connect than are served. The client dies
 * with the card held. Every job ends, and once the card is left alone, every operation succeeds.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 64
#define COMMANDS 440
#define FLOOD 80 /* clients at a time, of which 64 are served */

static char directory[] = "/tmp/steered.XXXXXX", path[64];
static int clients[2]; /* connected before the flood */
static _Atomic bool left_alone;
static struct card *card;
static struct job jobs[JOBS];
static struct work *works[JOBS];

static int connect_to_card(int flags)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    CHECK(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || flags != 0);
    return fd;
}

static void steer(int fd, const char *command, const char *value)
{
    char line[256];
    ssize_t len = snprintf(line, sizeof(line), "{\"command\": \"%s\"%s%s%s}\n", command,
        value == NULL ? "" : ", \"value\": \"", value == NULL ? "" : value, value == NULL ? "" : "\"");

    CHECK_EQ(write(fd, line, (size_t)len), len);
    len = read(fd, line, sizeof(line) - 1);
    CHECK(len > 0);
    line[len] = '\0';
    if (strcmp(line, "{\"ok\": true}\n") != 0) {
        fprintf(stderr, "%s: %s\n", command, line);
        FAIL("refused");
    }
}

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

        steer(clients[0], command[0], command[1]);
        if (i % 5 == 0)
            usleep(500);
    }
    steer(clients[0], "BACK", NULL);
    steer(clients[0], "HOLD", "none");
    before = hung();
    steer(clients[0], "FAULTS", "hang=20x");
    while (hung() < before + 20)
        usleep(1000);
    steer(clients[0], "HOLD", "compute");
    close(clients[0]);
    steer(clients[1], "FAULTS", "none");
    steer(clients[1], "HOLD", "none");
    steer(clients[1], "BACK", NULL);
    steer(clients[1], "RESET", "0"); /* those that hang fail */
    close(clients[1]);
    left_alone = true;
    return arg;
}

static void flood(void)
{
    int fds[FLOOD];

    for (int i = 0; i < FLOOD; i++)
        fds[i] = connect_to_card(SOCK_NONBLOCK);
    for (int i = 0; i < FLOOD; i++)
        close(fds[i]);
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
    char commands[128];
    pthread_t client;

    test_begin(60);
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/socket", directory);
    snprintf(commands, sizeof(commands), "CONTROL:%s;WORKERS:2;RING_DEPTH:32;INIT_ENGINE", path);
    card = card_load(commands);
    for (unsigned i = 0; i < 2; i++)
        clients[i] = connect_to_card(0);
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
    CHECK_EQ(rmdir(directory), 0);
    return 0;
}
