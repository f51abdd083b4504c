/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes of one user on a machine with many cores, under the usual limit on locked memory, 8 MiB for
 * all of them together: each gets a card that works, with callbacks, too. (Before Linux 6.14 rings are not
 * counted, and the test asks for nothing.) And where the limit allows one process next to nothing, it has a
 * card as well; even where it allows a single ring and the card has delays to keep, whose thread wants one,
 * too.
 */
#include <ersatz/faults.h>
#include <sys/wait.h>

#include "card.h"
#include "ordinary_user.h"

#define PROCESSES 48
#define CORES 32
#define RING_PAGES 2

static const struct ersatz_faults *faults; /* of the cards */

static void use_card(struct ersatz_device *device)
{
    struct aes *aes = aes_new(1);
    struct ersatz_request *request;
    struct ersatz_stats stats = {0};
    struct ersatz_waker *waker;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (int i = 0; i < CORES; i++) { /* whichever worker takes it up, with a ring or without */
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        card_finish(request);
    }
    card_use_callback(device);
    ersatz_waker_free(waker);
    aes_free(aes);
}

/* Does its work, says so, and keeps its card until all have said so. */
static void be_a_process(int ready, int end)
{
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;
    char byte = 'y';

    test_begin(60);
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = CORES;
    config.faults = faults;
    if (ersatz_device_open(&config, &device, &error) != ERSATZ_OK) {
        fprintf(stderr, "%s\n", error.text);
        byte = 'n';
    } else {
        use_card(device);
    }
    CHECK_EQ(write(ready, &byte, 1), 1);
    CHECK_EQ(read(end, &byte, 1), 0);
    _exit(byte == 'n');
}

static void run(int processes)
{
    int ready[2], end[2], cards = 0, status;
    char byte;

    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    for (int i = 0; i < processes; i++) {
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
            close(end[1]);
            be_a_process(ready[1], end[0]);
        }
    }
    close(ready[1]); /* a process that dies before its time is an end of file, and not a wait for ever */
    while (read(ready[0], &byte, 1) == 1)
        if (++cards, byte == 'n')
            FAIL("a process has no card");
        else if (cards == processes)
            break;
    CHECK_EQ(cards, processes);
    close(end[1]);
    for (int i = 0; i < processes; i++)
        CHECK(wait(&status) > 0 && status == 0);
}

int main(void)
{
    static struct ersatz_faults late;
    struct ersatz_error error;

    test_begin(100);
    CHECK_EQ(ersatz_faults_parse("late=100%:1ms", &late, &(size_t){0}, &error), ERSATZ_OK);
    become_user();
    limit_locked_memory((rlim_t)(RING_PAGES * sysconf(_SC_PAGESIZE))); /* first: see uring.c, TRIES */
    faults = &late;
    run(1);
    faults = NULL;
    limit_locked_memory(64 << 10);
    run(1);
    limit_locked_memory(8 << 20);
    run(PROCESSES);
    return 0;
}
