/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card is stopped, by exit(3), by the last ENGINE_finish(3) or for a fork, while a callback runs on a
 * thread of its own: one that uses the module, forks, gives back the last reference, exits itself, or never
 * returns. Each case runs in a process of its own, which must come to its end.
 */
#include <stdatomic.h>

#include "child.h"
#include "proc.h"
#include "support/card.h"
#include "support/work.h"

#define ENDED 7

static struct card *card;
static struct work *outer, *inner;
static struct job job;
static _Atomic int in_callback, main_leaves, callback_done;
static int threads_left; /* when the process ends; -1: whoever */

static void wait_for(_Atomic int *flag)
{
    while (!atomic_load(flag))
        usleep(100);
}

/* Registered last, so it runs first: before the module's own handler. */
static void exit_begins(void)
{
    atomic_store(&main_leaves, 1);
}

/* Registered before the module was there: it runs when the module's has returned, which waits for callbacks,
 * and for the card's threads. */
static void exit_ends(void)
{
    if (!atomic_load(&main_leaves))
        return;
    CHECK(atomic_load(&callback_done));
    while (threads_left > 0 && count_threads() != threads_left)
        usleep(100); /* joined, but the kernel still takes them apart; one that stays hangs the test */
}

static void sign(void)
{
    CHECK_EQ(work_do(&inner), 1);
}

/* ---------------------------------------------------------------------------------------------- callbacks */

/* Until the calling core computes, so until the stop has begun for sure. */
static int sign_until_stopped(void *arg)
{
    long before = card_count(card, "inline");

    (void)arg;
    atomic_store(&in_callback, 1);
    do
        sign();
    while (card_count(card, "inline") == before);
    atomic_store(&callback_done, 1);
    return 1;
}

/* The callback's last step. */
static int fork_and_return(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(ENDED);
    child_exits_with(pid, ENDED);
    atomic_store(&callback_done, 1);
    return 1;
}

static int fork_when_stopped(void *arg)
{
    sign_until_stopped(arg);
    atomic_store(&callback_done, 0);
    return fork_and_return();
}

static int exit_here(void *arg)
{
    (void)arg;
    atomic_store(&callback_done, 1); /* it has no further end */
    exit(ENDED);
}

static int never_return(void *arg)
{
    (void)arg;
    atomic_store(&in_callback, 1);
    while (atomic_load(&in_callback))
        pause();
    return 1;
}

/* The module's one other user is the key, which is the callback's to free. */
static void give_back(void)
{
    work_set_key(outer, NULL);
    card_finish(card);
}

static int give_back_here(void *arg)
{
    (void)arg;
    give_back();
    atomic_store(&callback_done, 1);
    return 1;
}

/* Commands that take the card's lock, or start a card, until they are told that it is being stopped. */
static int command_until_stopped(void *arg)
{
    (void)arg;
    atomic_store(&in_callback, 1);
    while (!card_refuses(card, "HOLD", "none", "last user"))
        usleep(100);
    CHECK(card_number(card, "GET_NUM_CRYPTO_INSTANCES") > 0);
    return fork_and_return();
}

/* ------------------------------------------------------------------------------------------------- cases */

/* A job's callback is due; `commands` may let that be later. */
static void submit(int (*callback)(void *), const char *commands)
{
    test_begin(60);
    threads_left = count_threads();
    CHECK_EQ(atexit(exit_ends), 0);
    card = card_load_for_good(commands);
    outer = work_rsa(card, 1);
    inner = work_rsa(card, 2);
    CHECK_EQ(atexit(exit_begins), 0);
    job_init(&job, BY_CALLBACK, work_do, outer);
    CHECK(ASYNC_WAIT_CTX_set_callback(job.context, callback, &job));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
}

static void exit_while_it_signs(void)
{
    submit(sign_until_stopped, NULL);
    wait_for(&in_callback);
    exit(ENDED);
}

static void cleanup_while_it_signs(void)
{
    submit(sign_until_stopped, NULL);
    wait_for(&in_callback);
    OPENSSL_cleanup();
    CHECK(atomic_load(&callback_done));
    _exit(ENDED);
}

static void exit_while_it_forks(void)
{
    submit(fork_when_stopped, NULL);
    wait_for(&in_callback);
    exit(ENDED);
}

/* All threads end but the callback's own, for which one more waits. */
static void exit_in_it(void)
{
    struct work *work;
    struct job before;

    submit(exit_here, "INSTANCES:2;HOLD:compute;SET_INSTANCE_FOR_THREAD:0");
    threads_left += 2;
    card_command(card, "SET_INSTANCE_FOR_THREAD", "1");
    work = work_aes(card, 3);
    job_init(&before, BY_CALLBACK, work_do, work);
    CHECK_EQ(job_run(&before), ASYNC_PAUSE); /* so that there is another thread for callbacks */
    card_command(card, "HOLD", "none");
    for (;;)
        pause();
}

static void exit_while_it_never_returns(void)
{
    submit(never_return, NULL);
    wait_for(&in_callback);
    atomic_store(&callback_done, 1); /* nothing else is to be expected */
    threads_left = -1;
    exit(ENDED);
}

/* The key inside is not in use, so that the count is one. */
static void submit_alone(int (*callback)(void *))
{
    submit(callback, "WORKERS:2;INSTANCES:1");
    work_free(inner);
}

static void finish_while_it_commands(void)
{
    submit_alone(command_until_stopped);
    wait_for(&in_callback);
    give_back();
    wait_for(&callback_done); /* not at once where a command is under way: then that one stops the card */
    _exit(ENDED);
}

static void finish_in_it(void)
{
    int tasks = count_threads(), descriptors = count_descriptors();

    submit_alone(give_back_here);
    wait_for(&callback_done);
    while (count_threads() != tasks)
        usleep(100); /* one that stays hangs the test */
    CHECK_EQ(count_descriptors(), descriptors);
    card_init(card); /* and another card starts */
    inner = work_rsa(card, 2);
    sign();
    _exit(ENDED);
}

int main(void)
{
    static const struct {
        void (*run)(void);
        bool of_engine; /* whose functional references a provider does not have */
    } cases[] = {{exit_while_it_signs, false}, {cleanup_while_it_signs, false}, {exit_while_it_forks, false},
        {exit_in_it, false}, {exit_while_it_never_returns, false}, {finish_while_it_commands, true},
        {finish_in_it, true}};

    test_begin(140);
    RSA_free(test_rsa()); /* made once, for all children */
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pid_t pid;

        if (cases[i].of_engine && card_is_provider())
            continue;
        if (cases[i].run == cleanup_while_it_signs && OPENSSL_version_major() >= 4)
            continue; /* it tells nobody that it begins */
        pid = fork();
        if (pid == 0)
            cases[i].run();
        child_exits_with(pid, ENDED);
    }
    return 0;
}
