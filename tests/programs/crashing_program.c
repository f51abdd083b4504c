/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes, on the engine that ERSATZ_CTRL has set up:
 *
 *   callback    in the callback of its second signature, on the card's thread
 *   polled      in that of the first, on its own thread, which polls
 *   elsewhere   after a signature, in no callback
 *   jump        there, by a jump to no code
 *   aborts      there, by abort(3)
 *   handled     there, and has a handler of its own
 *   child       in a callback, in a child; the parent ends well
 *   exits       calls _exit in a callback
 *   ended       is ended by SIGTERM while a callback runs
 *   well        not at all
 */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

static int *volatile nowhere;

static int crash_in_callback(void *arg)
{
    (void)arg;
    *nowhere = 1;
    return 1;
}

static int exit_in_callback(void *arg)
{
    (void)arg;
    _exit(0);
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    CHECK_EQ(kill(getpid(), SIGTERM), 0); /* for the other thread: this one has it blocked */
    for (;;)
        pause();
}

static void sign(struct card *card, int (*callback)(void *), bool polls)
{
    struct job job;

    job_init(&job, BY_CALLBACK, work_do, work_rsa(card, 1));
    if (callback != NULL)
        CHECK(ASYNC_WAIT_CTX_set_callback(job.context, callback, &job));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    while (polls)
        card_command(card, "POLL", NULL);
    CHECK_EQ(job_finish(&job), 1);
    work_free(job.arg);
    job_free(&job);
}

static void (*volatile no_code)(void);

static void end_well(int signal)
{
    (void)signal;
    _exit(7);
}

static volatile bool came_back;

/* Something comes after the call, so that it is no tail call: the caller must be seen on the stack. */
__attribute__((noinline)) static void jump(void)
{
    no_code();
    came_back = true;
}

/* False: not one of these. */
static bool crash_elsewhere(const char *how)
{
    if (strcmp(how, "elsewhere") == 0 || strcmp(how, "handled") == 0)
        *nowhere = 1;
    else if (strcmp(how, "jump") == 0)
        jump();
    else if (strcmp(how, "aborts") == 0)
        abort();
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};
    const char *how = argc > 1 ? argv[1] : "";
    struct card *card;
    bool polls;
    int status;
    pid_t pid;

    test_begin(60);
    setrlimit(RLIMIT_CORE, &none);
    if (strcmp(how, "child") == 0) {
        pid = fork();
        CHECK(pid >= 0);
        if (pid > 0) {
            CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
            return 0;
        }
    }
    if (strcmp(how, "handled") == 0)
        signal(SIGSEGV, end_well);
    polls = strcmp(how, "polled") == 0;
    card = card_load(polls ? "ENABLE_EXTERNAL_POLLING" : NULL);
    if (!polls)
        sign(card, NULL, false);
    if (strcmp(how, "exits") == 0)
        sign(card, exit_in_callback, false);
    else if (strcmp(how, "ended") == 0)
        sign(card, wait_for_the_end, false);
    else if (!crash_elsewhere(how) && strcmp(how, "well") != 0)
        sign(card, crash_in_callback, polls);
    card_unload(card);
    return 0;
}
