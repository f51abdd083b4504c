/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks signals and cancellation for a while, and locks that are held meanwhile. */
#include "ersatz/undisturbed.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ersatz/assertion.h"
#include "ersatz/sanitizer.h"
#include "threads.h"

#define RENEWED_MAX 16u
#define HELD_MAX 4u

void ersatz_undisturbed_begin(struct ersatz_undisturbed *before)
{
    static const int let_through[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t blocked;

    sigfillset(&blocked);
    for (unsigned i = 0; i < sizeof(let_through) / sizeof(let_through[0]); i++)
        sigdelset(&blocked, let_through[i]);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before->cancel_state);
    pthread_sigmask(SIG_BLOCK, &blocked, &before->signals);
}

void ersatz_undisturbed_end(const struct ersatz_undisturbed *before)
{
    pthread_sigmask(SIG_SETMASK, &before->signals, NULL);
    pthread_setcancelstate(before->cancel_state, NULL);
}

bool ersatz_lock(struct ersatz_lock *lock, struct ersatz_locked *locked)
{
    ersatz_undisturbed_begin(&locked->before);
    locked->lock = pthread_mutex_lock(&lock->mutex) == 0 ? lock : NULL;
    return locked->lock != NULL;
}

bool ersatz_lock_within(struct ersatz_lock *lock, unsigned seconds, struct ersatz_locked *locked)
{
#ifdef ERSATZ_THREAD_SANITIZER
    (void)seconds; /* clang's takes no notice of pthread_mutex_clocklock() */
    return ersatz_lock(lock, locked);
#else
    int err;

    ersatz_undisturbed_begin(&locked->before);
    err = pthread_mutex_trylock(&lock->mutex);
    /* One by one: see THREAD_PATIENCE. */
    for (unsigned i = 0; i < seconds && (err == EBUSY || err == ETIMEDOUT); i++) {
        struct timespec until = thread_patience_second();

        err = pthread_mutex_clocklock(&lock->mutex, CLOCK_MONOTONIC, &until);
    }
    locked->lock = err == 0 ? lock : NULL;
    return locked->lock != NULL;
#endif
}

void ersatz_unlock(const struct ersatz_locked *locked)
{
    if (locked->lock != NULL) {
        int error = pthread_mutex_unlock(&locked->lock->mutex);

        ASSERT(error == 0); /* nobody else has given it back */
        (void)error;
    }
    ersatz_undisturbed_end(&locked->before);
}

void ersatz_lock_renew(struct ersatz_lock *lock)
{
    static const struct ersatz_lock free_lock = ERSATZ_LOCK_INITIALIZER;

    *lock = free_lock;
}

/* Written by constructors, one after the other. */
static struct ersatz_lock *renewed[RENEWED_MAX];
static unsigned renewed_count;

static void renew_all(void)
{
    for (unsigned i = 0; i < renewed_count; i++)
        ersatz_lock_renew(renewed[i]);
}

void ersatz_lock_renew_in_children(struct ersatz_lock *lock)
{
    if (renewed_count == RENEWED_MAX)
        abort(); /* found by the first run of anything */
    if (renewed_count == 0)
        pthread_atfork(NULL, NULL, renew_all); /* fails only without memory */
    renewed[renewed_count++] = lock;
}

static struct {
    struct ersatz_lock *lock;    /* written by constructors, one after the other */
    struct ersatz_locked locked; /* from before a fork until after it */
} held[HELD_MAX];
static unsigned held_count;

static void take_held(void)
{
    for (unsigned i = 0; i < held_count; i++) {
        struct ersatz_locked locked; /* another thread may fork, too, and still have it */

        ersatz_lock(held[i].lock, &locked);
        held[i].locked = locked;
    }
}

static void give_back_held(void)
{
    for (unsigned i = held_count; i-- > 0;) {
        struct ersatz_locked locked = held[i].locked;

        ersatz_unlock(&locked);
    }
}

static void renew_held(void)
{
    for (unsigned i = held_count; i-- > 0;) {
        ersatz_lock_renew(held[i].lock); /* the thread that took it has another number here */
        ersatz_undisturbed_end(&held[i].locked.before);
    }
}

void ersatz_lock_hold_across_forks(struct ersatz_lock *lock)
{
    if (held_count == HELD_MAX)
        abort(); /* found by the first run of anything */
    if (held_count == 0)
        pthread_atfork(take_held, give_back_held, renew_held); /* fails only without memory */
    held[held_count++].lock = lock;
}
