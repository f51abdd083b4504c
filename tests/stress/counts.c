/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, threads and memory of this process. */
#include "counts.h"

#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "ersatz/sanitizer.h"
#include "memory.h"
#include "proc.h"

#ifdef ERSATZ_THREAD_SANITIZER
static void *begin_and_end(void *arg)
{
    return arg;
}

/* It starts a thread of its own with the first of the program's. */
void counts_begin(void)
{
    const long threads = count_threads();
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, begin_and_end, NULL), 0);
    pthread_join(thread, NULL);
    while (count_threads() > threads + 1)
        usleep(1000); /* joined, but the kernel still takes it apart */
}
#else
void counts_begin(void)
{
}
#endif

struct counts counts_take(void)
{
    long lost = memory_lost(), all = memory_live_all();

    return (struct counts){
        .descriptors = count_descriptors(),
        .threads = count_threads(),
        .blocks = memory_live() - lost,
        .all_blocks = all < 0 ? -1 : all - lost - memory_held(),
    };
}
