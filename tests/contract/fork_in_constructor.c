/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread forks with an operation in flight while another one, in the constructor of a library, uses the
 * module. The constructor runs under the dynamic linker's lock. Before such a fork the check looks up which
 * library the forking code belongs to, which waits for that lock: so it must not hold the card's lock then,
 * for which the constructor may wait.
 *
 *   fork_in_constructor LIBRARY
 */
#include <dlfcn.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define ASLEEP_AT 50 /* looks in a row, a millisecond apart */

void in_constructor(void);

static struct card *card;
static sem_t constructing;
static _Atomic pid_t forker;
static _Atomic bool forked;

static void *fork_meanwhile(void *arg)
{
    pid_t pid;

    (void)arg;
    CHECK_EQ(sem_wait(&constructing), 0);
    atomic_store(&forker, gettid());
    pid = fork();
    if (pid == 0)
        _exit(7);
    CHECK(pid > 0);
    atomic_store(&forked, true);
    child_exits_with(pid, 7);
    return NULL;
}

static bool is_asleep(pid_t thread)
{
    char path[64], state = '?';
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    file = fopen(path, "re");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%*d %*s %c", &state), 1);
    fclose(file);
    return state == 'S';
}

/* On the thread that loads the library. */
__attribute__((visibility("default"))) void in_constructor(void)
{
    sem_post(&constructing);
    for (unsigned asleep = 0; asleep < ASLEEP_AT && !atomic_load(&forked); usleep(1000)) {
        pid_t thread = atomic_load(&forker);

        asleep = thread != 0 && is_asleep(thread) ? asleep + 1 : 0;
    }
    card_command(card, "WORKERS", "1"); /* takes the card's lock to see that it is so already */
}

int main(int argc, char **argv)
{
    struct work *aes;
    struct job job;
    pthread_t thread;

    test_begin(100);
    CHECK_EQ(argc, 2);
    card = card_load("CHECK:1;WORKERS:1");
    aes = work_aes(card, 1);
    job_init(&job, BY_FD, work_do, aes);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* in flight until it is resumed */
    CHECK_EQ(sem_init(&constructing, 0, 0), 0);
    CHECK_EQ(pthread_create(&thread, NULL, fork_meanwhile, NULL), 0);
    CHECK(dlopen(argv[1], RTLD_NOW) != NULL);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(aes);
    card_unload(card);
    return 0;
}
