/* Counts forks, so that objects can tell in which process they were made. */
#include "process.h"

#include <pthread.h>
#include <stdatomic.h>

/* Written in a child that has one thread; relaxed, since no other memory is published with it. */
static _Atomic unsigned generation = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    /* Fails only without memory; forks then go unseen, as they would for most libraries. */
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned process_generation(void)
{
    pthread_once(&once, watch_forks);
    return atomic_load_explicit(&generation, memory_order_relaxed);
}
