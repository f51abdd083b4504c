/* SPDX-License-Identifier: Apache-2.0 */
/* See fork.h. */
#include "fork.h"

#include <pthread.h>

_Atomic unsigned process_forks = 1;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&process_forks, 1, memory_order_relaxed);
}

/* When the program or module is loaded, so that process_generation() only reads a number. */
__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory; forks then go unseen, as they would for most libraries. */
    pthread_atfork(NULL, NULL, count_fork);
}
