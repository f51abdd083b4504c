/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A section of code that its thread must not leave before its end, because a lock or a count that the thread
 * holds would then be held for ever. A signal handler of the application, which may jump out (siglongjmp(3)),
 * call exit(3) or use the engine, runs when the section has ended; a cancellation (pthread_cancel(3)) waits,
 * too.
 *
 * It costs two system calls, which is too much for every short operation. Those take no lock.
 */
#ifndef ERSATZ_UNDISTURBED_H
#define ERSATZ_UNDISTURBED_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct ersatz_undisturbed {
    sigset_t signals; /* the mask before */
    int cancel_state;
};

/* Call both on the same thread, in pairs; pairs may be nested. Signals that report a crash, and a profiler's,
 * are not blocked: if a handler of one of these does not return, it leaves the section. */
void ersatz_undisturbed_begin(struct ersatz_undisturbed *before);
void ersatz_undisturbed_end(const struct ersatz_undisturbed *before);

/*
 * A mutex whose holder is undisturbed. A signal handler that runs all the same, because of a crash, may ask
 * for a lock that its own thread holds. It does not get the lock, and continues without it: the code that it
 * interrupted does not run meanwhile.
 */
struct ersatz_lock {
    pthread_mutex_t mutex; /* error-checking, so that it refuses its owner */
};

#define ERSATZ_LOCK_INITIALIZER                                                                              \
    {                                                                                                        \
        .mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP                                                     \
    }

/* How a thread has a lock. Only ersatz_lock() and ersatz_unlock() look inside. */
struct ersatz_locked {
    struct ersatz_lock *lock; /* NULL: refused; ersatz_unlock() then does nothing */
    struct ersatz_undisturbed before;
};

/* Takes the lock. False: the calling thread holds it already. Call ersatz_unlock() in both cases. */
bool ersatz_lock(struct ersatz_lock *lock, struct ersatz_locked *locked);

/* ersatz_lock() that gives up (false) when another thread has held the lock for that many seconds. */
bool ersatz_lock_within(struct ersatz_lock *lock, unsigned seconds, struct ersatz_locked *locked);

void ersatz_unlock(const struct ersatz_locked *locked);

/* Makes the lock free, whichever thread holds it. For a lock that is not in use yet; or in the child of a
 * fork, where a thread that the child does not have may hold it. */
void ersatz_lock_renew(struct ersatz_lock *lock);

/* Calls ersatz_lock_renew() in the child of each fork from now on. For static locks, in a constructor. The
 * child may find the data that the lock protects half changed. */
void ersatz_lock_renew_in_children(struct ersatz_lock *lock);

/* Holds the lock across each fork from now on: the child finds the lock free, and the data that it protects
 * whole. For static locks, in a constructor, if no holder ever waits for a thread that may fork. */
void ersatz_lock_hold_across_forks(struct ersatz_lock *lock);

#endif
