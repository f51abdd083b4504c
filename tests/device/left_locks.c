/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that somebody would leave locked: at a fork, by a thread that the child has not; and by a thread that
 * is cancelled. And a handler that asks for a lock of the thread that it interrupted. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "card.h"
#include "child.h"
#include "ersatz/sanitizer.h"
#include "ersatz/undisturbed.h"
#include "sanitizer.h"

/* To gcc's address sanitizer the stack of a cancelled thread stays marked. */
#ifdef SANITIZER_ALLOCATES
#define CANCELS false
#else
#define CANCELS true
#endif

static struct ersatz_lock held = ERSATZ_LOCK_INITIALIZER;
static struct ersatz_lock whole = ERSATZ_LOCK_INITIALIZER;

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&held);
    ersatz_lock_hold_across_forks(&whole);
}

static void fork_with_lock(void)
{
    struct ersatz_locked locked, again;
    pid_t pid;

    CHECK(ersatz_lock(&held, &locked));
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(ersatz_lock(&held, &again) ? 7 : 1);
    child_exits_with(pid, 7);
    CHECK(!ersatz_lock(&held, &again));
    ersatz_unlock(&again);
    ersatz_unlock(&locked);
}

static _Atomic bool forks;
static _Atomic bool half_changed; /* under `whole` */

static void *change_data(void *arg)
{
    struct ersatz_locked locked;

    CHECK(ersatz_lock(&whole, &locked));
    half_changed = true;
    while (!forks)
        usleep(100);
    usleep(20000); /* for a fork that does not wait */
    half_changed = false;
    ersatz_unlock(&locked);
    return arg;
}

/* The fork waits until another thread has changed all of the data. */
static void fork_beside_lock(void)
{
    struct ersatz_locked locked;
    pthread_t thread;
    sigset_t blocked;
    pid_t pid;

    CHECK_EQ(pthread_create(&thread, NULL, change_data, NULL), 0);
    while (!half_changed)
        usleep(100);
    forks = true;
    pid = fork();
    CHECK(pid >= 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    CHECK_EQ(sigismember(&blocked, SIGUSR1), 0);
    if (pid == 0)
        _exit(!half_changed && ersatz_lock(&whole, &locked) ? 7 : 1);
    child_exits_with(pid, 7);
    CHECK(ersatz_lock(&whole, &locked));
    ersatz_unlock(&locked);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static volatile sig_atomic_t handled;

/* Of a crash, so that it runs at once; else it runs when the lock has been given back. */
static void ask_for_lock(int signal)
{
    struct ersatz_locked locked;

    CHECK_EQ(ersatz_lock(&held, &locked), signal != SIGABRT);
    ersatz_unlock(&locked);
    handled++;
}

static void *try_lock(void *arg)
{
    struct ersatz_locked locked;
    bool *had = arg;

    *had = ersatz_lock_within(&held, 0, &locked);
    ersatz_unlock(&locked);
    return NULL;
}

static bool others_get_it(void)
{
    pthread_t thread;
    bool had;

    CHECK_EQ(pthread_create(&thread, NULL, try_lock, &had), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return had;
}

/* The handler is refused the lock, and does not give it back to others. */
static void interrupted_with_lock(void)
{
    struct ersatz_locked locked;

    signal(SIGABRT, ask_for_lock);
    signal(SIGUSR1, ask_for_lock);
    CHECK(ersatz_lock(&held, &locked));
    raise(SIGABRT);
    raise(SIGUSR1);
    CHECK_EQ(handled, 1);
#ifndef ERSATZ_THREAD_SANITIZER /* there it would wait for ever */
    CHECK(!others_get_it());
#endif
    ersatz_unlock(&locked);
    CHECK_EQ(handled, 2);
    CHECK(others_get_it());
    signal(SIGABRT, SIG_DFL);
}

struct reuse {
    struct ersatz_device *device;
    struct ersatz_waker *waker;
    struct aes *aes;
    struct ersatz_request *request;
};

/* Cancelled at the first call where it may be; the waker still has a request that was told of, whose signal
 * is drained in there. */
static void *submit_cancelled(void *arg)
{
    struct reuse *reuse = arg;

    CHECK_EQ(ersatz_request_new(reuse->device, &reuse->aes->op, true, &reuse->request), ERSATZ_OK);
    pthread_cancel(pthread_self());
    ersatz_submit_fd(reuse->request, reuse->waker);
    pthread_testcancel();
    return NULL;
}

static void cancel_in_submit(void)
{
    struct ersatz_stats stats = {0};
    struct reuse reuse = {.device = card_open(&stats, 1, 4, false), .aes = aes_new(1)};
    struct aes *other = aes_new(2);
    struct pollfd told = {.events = POLLIN};
    struct ersatz_request *first;
    pthread_t thread;
    void *result;

    CHECK_EQ(ersatz_waker_new(&stats, &reuse.waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(reuse.device, &other->op, true, &first), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(first, reuse.waker), ERSATZ_OK);
    told.fd = ersatz_waker_fd(reuse.waker);
    CHECK_EQ(poll(&told, 1, -1), 1);
    CHECK_EQ(pthread_create(&thread, NULL, submit_cancelled, &reuse), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_EQ(poll(&told, 1, -1), 1);
    CHECK(ersatz_request_is_done(reuse.request)); /* takes the lock */
    CHECK_EQ(ersatz_request_finish(reuse.request), ERSATZ_OK);
    ersatz_waker_free(reuse.waker);
    ersatz_device_free(reuse.device);
    aes_free(reuse.aes);
    aes_free(other);
}

struct opening {
    struct ersatz_config config;
    struct ersatz_device *device;
};

static void *open_cancelled(void *arg)
{
    struct opening *opening = arg;
    struct ersatz_error error;

    pthread_cancel(pthread_self());
    ersatz_device_open(&opening->config, &opening->device, &error);
    pthread_testcancel();
    return NULL;
}

static void cancel_in_open(void)
{
    static struct ersatz_stats stats;
    struct opening opening;
    pthread_t thread;

    ersatz_config_init(&opening.config, &stats);
    opening.device = NULL;
    CHECK_EQ(pthread_create(&thread, NULL, open_cancelled, &opening), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(opening.device != NULL); /* the cancellation waited */
    ersatz_device_free(opening.device);
}

int main(void)
{
    test_begin(60);
    fork_with_lock();
    fork_beside_lock();
    interrupted_with_lock();
    if (CANCELS) {
        cancel_in_submit();
        cancel_in_open();
    }
    return 0;
}
