/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONTROL: another program steers the card by its socket, while jobs are in flight. The socket is there while
 * the card runs, starts nothing, and a forked child has its own.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "control_client.h"
#include "scratch.h"
#include "support/card.h"
#include "support/work.h"

#define SOCKET "./socket"

static bool exists(const char *file)
{
    struct stat status;

    return stat(file, &status) == 0;
}

static void steer_refuses(int fd, const char *command, const char *value, const char *says)
{
    const char *answer = control_ask(fd, command, value);

    if (strncmp(answer, "{\"ok\": false, ", 14) != 0 || strstr(answer, says) == NULL) {
        fprintf(stderr, "%s: %s does not say: %s\n", command, answer, says);
        FAIL("not refused");
    }
}

/* Two jobs, one for each way of being told. */
struct jobs {
    struct work *work[2];
    struct job job[2];
};

static void begin(struct jobs *jobs, struct card *card)
{
    for (unsigned i = 0; i < 2; i++) {
        jobs->work[i] = i == 0 ? work_rsa(card, 1) : work_aes(card, 1);
        job_init(&jobs->job[i], i == 0 ? BY_FD : BY_CALLBACK, work_do, jobs->work[i]);
        CHECK_EQ(job_run(&jobs->job[i]), ASYNC_PAUSE);
    }
}

static void end(struct jobs *jobs, int result)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(job_finish(&jobs->job[i]), result);
        job_free(&jobs->job[i]);
        work_free(jobs->work[i]);
    }
    CHECK(result == 1 || error_speaks_of("injected fault of the simulated card"));
    ERR_clear_error();
}

static void test_hold(struct card *card, int fd)
{
    struct jobs jobs;

    control_steer(fd, "HOLD", "compute");
    begin(&jobs, card);
    CHECK(strcmp(control_ask(fd, "GET_NUM_REQUESTS_IN_FLIGHT", "0"), "{\"ok\": true, \"answer\": 2}") == 0);
    control_steer(fd, "RELEASE", "1");
    while (strcmp(control_ask(fd, "GET_NUM_REQUESTS_IN_FLIGHT", "0"), "{\"ok\": true, \"answer\": 1}") != 0)
        usleep(1000);
    control_steer(fd, "HOLD", "none");
    end(&jobs, 1);
}

/* A client that dies lets the card go, if it said so before. */
static void test_until_close(struct card *card, int fd)
{
    static const char hold[] = "{\"command\":\"HOLD\",\"value\":\"signal\",\"until\":\"close\"}\n";
    int dying = control_connect(SOCKET, 0);
    struct jobs jobs;
    char answer[64];

    CHECK(dying >= 0);
    CHECK_EQ(write(dying, hold, sizeof(hold) - 1), sizeof(hold) - 1);
    CHECK_EQ(read(dying, answer, sizeof(answer)), strlen("{\"ok\": true}\n"));
    begin(&jobs, card);
    CHECK(strcmp(control_ask(fd, "GET_NUM_REQUESTS_IN_FLIGHT", "0"), "{\"ok\": true, \"answer\": 2}") == 0);
    close(dying);
    end(&jobs, 1);
}

static void test_faults(struct card *card, int fd)
{
    struct jobs jobs;

    control_steer(fd, "FAULTS", "fail=2x");
    begin(&jobs, card);
    end(&jobs, 0);
    control_steer(fd, "FAULTS", "hang=2x");
    begin(&jobs, card);
    while (strstr(control_ask(fd, "STATS", NULL), "\"hang\": 2") == NULL)
        usleep(1000);
    control_steer(fd, "RESET", "0");
    end(&jobs, 0);
    control_steer(fd, "GONE", NULL);
    control_steer(fd, "BACK", NULL);
    begin(&jobs, card);
    end(&jobs, 1);
    steer_refuses(
        fd, "FAULTS", "late=5%:2mx", "FAULTS is wrong at character 10: expected the unit of a time");
    steer_refuses(fd, "FAULTS", "late=5%:2mx", "NAME=WHEN:TIME");
    control_steer(fd, "FAULTS", "none");
}

static void test_refusals(int fd)
{
    steer_refuses(fd, "POLL", NULL, "POLL cannot come by the control socket");
    steer_refuses(fd, "WORKERS", "2", "WORKERS cannot come by the control socket");
    steer_refuses(fd, "HOLDING", NULL, "unknown command");
    steer_refuses(fd, "HOLD", "water", "expected none, compute or signal");
    steer_refuses(fd, "HOLD", NULL, "HOLD takes a value");
    steer_refuses(fd, "GONE", "1", "GONE takes no value");
    steer_refuses(fd, "RESET", "-1", "it must be from 0 to 3600000");
    steer_refuses(fd, "TRACE", "trace.json", "expected an absolute path");
    steer_refuses(fd, "TRACE", "/nonexistent/trace.json", "/nonexistent/trace.json");
    steer_refuses(fd, "FINDINGS", NULL, "FINDINGS needs CHECK:1");
    steer_refuses(fd, "PROFILE", "none-such", "unknown profile");
}

static void test_answers(int fd)
{
    char trace[sizeof(scratch_directory) + 16];

    snprintf(trace, sizeof(trace), "%s/trace.json", scratch_directory);
    control_steer(fd, "TRACE", trace);
    CHECK(exists(trace));
    CHECK_EQ(unlink(trace), 0);
    CHECK(strstr(control_ask(fd, "STATS", NULL), "{\"ok\": true, \"answer\": {") != NULL);
}

/* Under its parent's path with its process id behind. */
static void in_child(struct work *work)
{
    char own[96];
    int fd;

    snprintf(own, sizeof(own), SOCKET ".%ld", (long)getpid());
    CHECK(!exists(own));
    work_in_job(work, BY_FD, NULL);
    fd = control_connect(own, 0);
    CHECK(fd >= 0);
    control_steer(fd, "HOLD", "none");
    card_unload(work->card); /* as its parent does later */
    CHECK(!exists(own));
    close(fd);
}

static void run_child(struct card *card)
{
    struct work *work = work_aes(card, 1);

    work_in_child(in_child, work);
    work_free(work);
}

int main(void)
{
    struct card *card;
    int fd;

    test_begin(60);
    scratch_enter();
    card = card_load("WORKERS:2");
    CHECK(card_refuses(
        card, "CONTROL", "/nonexistent/socket", "CONTROL: the path \"/nonexistent/socket\" is in"));
    CHECK(card_refuses(card, "CONTROL", "", "CONTROL is empty; expected the path of a socket"));
    card_command(card, "INIT_ENGINE", NULL);
    CHECK(card_refuses(card, "CONTROL", SOCKET, "CONTROL must come before"));
    CHECK(card_refuses(card, "RESET", "0", "RESET needs CONTROL or FAULTS"));
    card_unload(card);

    card = card_load("CONTROL:" SOCKET);
    CHECK(!exists(SOCKET)); /* nothing uses the card yet */
    run_child(card);
    card_command(card, "INIT_ENGINE", NULL);
    card_command(card, "CONTROL", SOCKET); /* a server that reads its configuration again */
    fd = control_connect(SOCKET, 0);
    CHECK(fd >= 0);
    test_hold(card, fd);
    test_until_close(card, fd);
    test_faults(card, fd);
    test_refusals(fd);
    test_answers(fd);
    run_child(card);
    control_steer(fd, "HOLD", "none"); /* our own is still there */
    control_steer(fd, "PROFILE", "usb-token");
    CHECK(strstr(control_ask(fd, "STATS", NULL), "\"profile\": {\"name\": \"none\"") != NULL);
    card_unload(card);
    CHECK(!exists(SOCKET) && control_connect(SOCKET, 0) < 0);
    close(fd);
    scratch_remove();
    return 0;
}
