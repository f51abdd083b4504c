/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs in a job with a lock held. While the job is paused, its own thread wants the lock (`own`), or waits
 * for another thread that wants it (`other`, and `rwlock` with another kind of lock): neither ever gets it. A
 * further thread ends the program when the check has seen it.
 */
#include <pthread.h>

#include "wrong.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static bool mended, by_rwlock;
static struct card *card;

static void take(void)
{
    CHECK_EQ(by_rwlock ? pthread_rwlock_wrlock(&rwlock) : pthread_mutex_lock(&lock), 0);
}

static void give(void)
{
    CHECK_EQ(by_rwlock ? pthread_rwlock_unlock(&rwlock) : pthread_mutex_unlock(&lock), 0);
}

static int sign_locked(void *arg)
{
    int result;

    take();
    if (mended)
        give();
    result = work_do(arg);
    if (!mended)
        give();
    return result;
}

static void *want_lock(void *arg)
{
    take();
    give();
    return arg;
}

static void *end_when_seen(void *arg)
{
    (void)arg;
    card_wait_for(card, "lock_held", 1);
    exit(0);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    struct job job;

    mended = has_argument(argc, argv, "mended");
    by_rwlock = has_argument(argc, argv, "rwlock");
    card = load_checked(NULL);
    job_init(&job, BY_FD, sign_locked, work_rsa(card, 1));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!mended)
        CHECK_EQ(pthread_create(&thread, NULL, end_when_seen, NULL), 0);
    if (has_argument(argc, argv, "own")) {
        want_lock(NULL);
    } else {
        CHECK_EQ(pthread_create(&thread, NULL, want_lock, NULL), 0);
        pthread_join(thread, NULL);
    }
    finish_signing(&job);
    unload_used(card);
    return 0;
}
