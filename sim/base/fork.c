/* SPDX-License-Identifier: Apache-2.0 */
/* Counts forks, so that objects can tell in which process they were made. */
#include "fork.h"

#include <stdlib.h>

#define LOCKS_MAX 4u

_Atomic unsigned process_forks = 1;

static pthread_mutex_t *locks[LOCKS_MAX]; /* written by constructors, one after the other */
static unsigned lock_count;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&process_forks, 1, memory_order_relaxed);
    for (unsigned i = 0; i < lock_count; i++)
        pthread_mutex_init(locks[i], NULL);
}

void process_renew_lock(pthread_mutex_t *lock)
{
    if (lock_count == LOCKS_MAX)
        abort(); /* found by the first run of anything */
    locks[lock_count++] = lock;
}

/* When the program or module is loaded, so that asking for the number is no more than a look at it. */
__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory; forks then go unseen, as they would for most libraries. */
    pthread_atfork(NULL, NULL, count_fork);
}
