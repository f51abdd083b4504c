/* SPDX-License-Identifier: Apache-2.0 */
/* More instances and workers than a word has bits: external polling of one of them by its descriptor, a fork,
 * the statistics, the end. */
#include <unistd.h>

#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define SHAPE "ENABLE_EXTERNAL_POLLING;WORKERS:200;INSTANCES:200;RING_DEPTH:16"

static void operate(struct card *card, const char *instance, const char *ask_for_descriptor)
{
    struct work *work = work_aes(card, 1);
    long completed = card_count(card, "completed");
    struct job job;
    int fd, first;

    card_command(card, "SET_INSTANCE_FOR_THREAD", instance);
    fd = card_number(card, ask_for_descriptor);
    first = card_number(card, "GET_EXTERNAL_POLLING_FD:0");
    CHECK(fd != first);
    job_init(&job, BY_CALLBACK, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_wait_for(card, "completed", completed + 1);
    while (!fd_is_readable(fd))
        usleep(100);
    CHECK(!fd_is_readable(first));
    work_end_by_poll(work, &job, fd);
}

int main(void)
{
    struct card *card;
    pid_t pid;
    int none;

    test_begin(60);
    card = card_load(SHAPE);
    CHECK_EQ(card_number(card, "GET_NUM_CRYPTO_INSTANCES"), 200);
    operate(card, "150", "GET_EXTERNAL_POLLING_FD:150");
    CHECK(!card_ask(card, "GET_EXTERNAL_POLLING_FD:200", &none));
    CHECK(error_speaks_of("is 200; it must be from 0 to 199"));
    ERR_clear_error();
    pid = fork();
    if (pid == 0) {
        operate(card, "199", "GET_EXTERNAL_POLLING_FD:199");
        CHECK_EQ(card_count(card, "completed"), 1);
        card_unload(card);
        _exit(7);
    }
    child_exits_with(pid, 7);
    operate(card, "64", "GET_EXTERNAL_POLLING_FD:64");
    CHECK_EQ(card_count(card, "completed"), 2);
    CHECK_EQ(card_count(card, "aes_cbc"), 2);
    CHECK_EQ(card_count(card, "callbacks"), 2);
    CHECK_EQ(card_count(card, "in_flight_max"), 1);
    card_unload(card);
    return 0;
}
