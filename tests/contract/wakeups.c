/* SPDX-License-Identifier: Apache-2.0 */
/* N1, N2: with level- and edge-triggered polling every completed job gets its signal, and none is left
 * over. */
#include <errno.h>
#include <sys/epoll.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 32
#define TIMES 100

static void add(int epoll, struct job *job, int index, unsigned flags)
{
    struct epoll_event event = {.events = EPOLLIN | flags, .data.u32 = (unsigned)index};

    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, job_fd(job), &event), 0);
}

/* How many events come in 20 ms. A process that was frozen meanwhile has its wait cut short. */
static int wait_a_moment(int epoll)
{
    struct epoll_event events[8];
    int count;

    do
        count = epoll_wait(epoll, events, 8, 20);
    while (count < 0 && errno == EINTR);
    return count;
}

static void run(struct card *card, unsigned flags)
{
    struct job jobs[JOBS];
    struct work *works[JOBS];
    struct epoll_event events[8];
    int epoll = epoll_create1(EPOLL_CLOEXEC), running = JOBS;
    long before = card_count(card, "completed");

    for (int i = 0; i < JOBS; i++) {
        works[i] = i % 4 == 0 ? work_rsa(card, (unsigned char)i) : work_aes(card, (unsigned char)i);
        works[i]->times = works[i]->is_rsa ? TIMES / 10 : TIMES;
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
        add(epoll, &jobs[i], i, flags); /* once: the descriptor stays the same (N4) */
    }
    while (running > 0) {
        int count = epoll_wait(epoll, events, 8, -1);

        for (int i = 0; i < count; i++) {
            struct job *job = &jobs[events[i].data.u32];

            CHECK_EQ(job->status, ASYNC_PAUSE); /* a signal for a finished job would be a stale one */
            if (job_run(job) == ASYNC_FINISH) {
                CHECK_EQ(job->result, 1);
                CHECK(!fd_is_readable(job_fd(job)));
                running--;
            }
        }
    }
    CHECK_EQ(card_count(card, "completed") - before, JOBS / 4 * (TIMES / 10) + JOBS * 3 / 4 * TIMES);
    CHECK_EQ(wait_a_moment(epoll), 0);
    for (int i = 0; i < JOBS; i++) {
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    close(epoll);
}

int main(void)
{
    struct card *card;

    test_begin(120);
    card = card_load(NULL);
    run(card, 0);
    run(card, EPOLLET);
    CHECK_EQ(card_count(card, "early_resumes"), 0);
    CHECK_EQ(card_count(card, "failed"), 0);
    CHECK_EQ(card_count(card, "wakeups"), card_count(card, "completed"));
    CHECK(card_count(card, "io_uring_enters") > 0);
    card_unload(card);
    return 0;
}
