/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls of the application's that wait are left alone. The kernel takes a closed io_uring apart some
 * milliseconds later, and interrupts the threads that made it or submitted to it: epoll_wait(2), and recv(2)
 * and accept(2) with a timeout, then return EINTR, though no signal came, and even where every signal's
 * handler restarts calls. So no ring is ever made, submitted to or closed on a thread of the application's.
 * A process that is stopped and goes on, or is frozen, is interrupted, too: not each time that it does this.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define WAIT_MS 60 /* several times as long as the kernel takes */
#define ROUNDS 2
#define TRIES 5

static int epoll, datagrams[2], listener;
static bool *interrupted; /* shared with the children */

static void open_sockets(void)
{
    const struct timeval timeout = {.tv_usec = WAIT_MS * 1000};
    const struct sockaddr_un nowhere = {.sun_family = AF_UNIX}; /* the kernel chooses a name */

    epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
    CHECK_EQ(setsockopt(datagrams[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    CHECK_EQ(bind(listener, (const struct sockaddr *)&nowhere, sizeof(sa_family_t)), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
}

/* by_itself: the error number of a call that its own timeout ends; 0: it fails not. */
static void note_end(const char *call, int result, int by_itself)
{
    if (result < 0 && errno == EINTR) {
        printf("  %s was interrupted\n", call);
        *interrupted = true;
        return;
    }
    CHECK_EQ(result, by_itself == 0 ? 0 : -1);
    CHECK(by_itself == 0 || errno == by_itself);
}

/* Each call ends by its own timeout. */
static void wait_undisturbed(const char *after)
{
    struct epoll_event event;
    char byte;

    printf("after %s\n", after);
    for (int i = 0; i < ROUNDS; i++) {
        note_end("epoll_wait", epoll_wait(epoll, &event, 1, WAIT_MS), 0);
        note_end("recv", (int)recv(datagrams[0], &byte, 1, 0), EAGAIN);
        note_end("accept", accept(listener, NULL, NULL), EAGAIN);
    }
}

/* A full ring of callbacks that nobody polls for, and a thread that waits for room in it. */
static void wait_for_room(struct card *card, struct work *first, struct work *second)
{
    long completed = card_count(card, "completed");
    struct job job;

    job_init(&job, BY_CALLBACK, work_do, first);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_wait_for(card, "completed", completed + 1);
    CHECK_EQ(work_do(&second), 1);
    card_command(card, "POLL", NULL);
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    job_free(&job);
}

/* The child is the last to have what it inherited. */
static void wait_in_child(struct work *work)
{
    wait_undisturbed("a fork, in the child");
    CHECK_EQ(work_do(&work), 1);
    wait_undisturbed("its own card's start, in the child");
}

static void use(bool external)
{
    struct card *card =
        card_load(external ? "INSTANCES:1;RING_DEPTH:1;ENABLE_EXTERNAL_POLLING" : "INSTANCES:1");
    struct card *polled = external ? card : NULL;
    struct work *rsa, *aes;

    wait_undisturbed("loading"); /* which asked for io_uring */
    rsa = work_rsa(card, 1);
    aes = work_aes(card, 2);
    work_in_job(rsa, BY_FD, polled);
    wait_undisturbed("the card's start");
    work_in_job(aes, BY_CALLBACK, polled);
    wait_undisturbed("the first callback");
    if (external) {
        wait_for_room(card, aes, rsa);
        CHECK(card_number(card, "GET_EXTERNAL_POLLING_FD") >= 0);
        wait_undisturbed("polling");
    }
    work_in_child(wait_in_child, rsa);
    wait_undisturbed("a fork");
    work_free(aes);
    work_free(rsa);
    card_unload(card);
    wait_undisturbed("the card's end");
}

int main(void)
{
    test_begin(60);
    setvbuf(stdout, NULL, _IOLBF, 0);
    interrupted = mmap(NULL, sizeof(*interrupted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(interrupted != MAP_FAILED);
    open_sockets();
    for (int external = 0; external <= 1; external++) {
        unsigned tries = 0;

        do {
            CHECK(tries++ < TRIES);
            *interrupted = false;
            use(external);
        } while (*interrupted);
    }
    return 0;
}
