/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child of a fork finds every static lock of the module free, whichever thread of the parent had it: that
 * thread does not exist in the child, and would never unlock it. The test's pthread_mutex_lock() stands in
 * front of the C library's. When the module has taken one of its static locks for the first time, another
 * thread forks before that lock is given back, and the child tries the lock. Where the module itself takes
 * the lock before a fork, the fork waits; then it goes on after the lock was given back.
 */
#include <dlfcn.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define TRIES 4 /* for each lock: it may be taken under others, for which a fork waits */
#define FORKS_MAX (32 * TRIES)
#define LOCKS_AT_LEAST 6 /* that this test reaches: else it looks in the wrong place */
#define FORK_MS 300      /* for which a lock is kept while somebody forks */

static struct {
    pthread_mutex_t *lock;
    pthread_t forker;
    sem_t forked;
    bool found_free;
} forks[FORKS_MAX];
static unsigned fork_count, lock_count;
static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER; /* of the above */
static _Thread_local bool within;

static int (*real_lock)(pthread_mutex_t *);

__attribute__((constructor)) static void find_real_lock(void)
{
    *(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
}

static void *fork_and_try(void *arg)
{
    unsigned i = *(unsigned *)arg;
    pid_t pid;
    int status;

    within = true; /* locks that are taken at the fork have their turn another time */
    pid = fork();
    if (pid == 0)
        _exit(pthread_mutex_trylock(forks[i].lock) == 0 ? 7 : 1);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    forks[i].found_free = WIFEXITED(status) && WEXITSTATUS(status) == 7;
    sem_post(&forks[i].forked);
    return NULL;
}

static bool is_static_in_module(pthread_mutex_t *lock)
{
    Dl_info info;

    return dladdr(lock, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, "ersatz.so") != NULL;
}

static bool is_to_be_tried(pthread_mutex_t *lock, unsigned *i)
{
    unsigned tried = 0;

    real_lock(&own);
    for (*i = 0; *i < fork_count; (*i)++)
        tried += forks[*i].lock == lock;
    if (tried < TRIES) {
        CHECK(fork_count < FORKS_MAX);
        forks[fork_count++].lock = lock;
    }
    lock_count += tried == 0;
    pthread_mutex_unlock(&own);
    return tried < TRIES;
}

__attribute__((visibility("default"))) int pthread_mutex_lock(pthread_mutex_t *lock)
{
    static unsigned numbers[FORKS_MAX];
    struct timespec until;
    unsigned i;
    int result;

    if (real_lock == NULL)
        find_real_lock();
    result = real_lock(lock);
    if (result != 0 || within)
        return result;
    within = true;
    if (is_static_in_module(lock) && is_to_be_tried(lock, &i)) {
        numbers[i] = i;
        CHECK_EQ(sem_init(&forks[i].forked, 0, 0), 0);
        CHECK_EQ(pthread_create(&forks[i].forker, NULL, fork_and_try, &numbers[i]), 0);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += FORK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)sem_timedwait(&forks[i].forked, &until);
    }
    within = false;
    return result;
}

static void use_card(void)
{
    struct card *card = card_load("CHECK:1");
    struct work *rsa = work_rsa(card, 1), *aes = work_aes(card, 2);

    CHECK_EQ(work_do(&rsa), 1);
    CHECK_EQ(work_do(&aes), 1);
    work_in_job(rsa, BY_FD, NULL);
    work_in_job(aes, BY_CALLBACK, NULL);
    work_free(aes);
    work_free(rsa);
    card_unload(card);
}

int main(void)
{
    test_begin(60);
    use_card();
    within = true;
    CHECK(lock_count >= LOCKS_AT_LEAST);
    for (unsigned i = 0; i < fork_count; i++) {
        CHECK_EQ(pthread_join(forks[i].forker, NULL), 0);
        if (!forks[i].found_free) {
            Dl_info info;

            CHECK(dladdr(forks[i].lock, &info) != 0);
            fprintf(stderr, "the lock at %#zx of %s is locked in the child of a fork\n",
                (size_t)forks[i].lock - (size_t)info.dli_fbase, info.dli_fname);
            FAIL("its owner is not in the child");
        }
    }
    printf("%u static locks\n", lock_count);
    return 0;
}
