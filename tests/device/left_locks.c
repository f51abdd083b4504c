/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that somebody would leave locked: at a fork, by a thread that the child has not; and by a thread that
 * is cancelled. */
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/fork.h"
#include "card.h"
#include "sanitizer.h"

/* To gcc's address sanitizer the stack of a cancelled thread stays marked. */
#ifdef SANITIZER_ALLOCATES
#define CANCELS false
#else
#define CANCELS true
#endif

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void watch_forks(void)
{
    process_renew_lock(&held);
}

static void fork_with_lock(void)
{
    pid_t pid;
    int status;

    pthread_mutex_lock(&held);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(pthread_mutex_trylock(&held) == 0 ? 7 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(pthread_mutex_trylock(&held) != 0);
    pthread_mutex_unlock(&held);
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
    if (CANCELS) {
        cancel_in_submit();
        cancel_in_open();
    }
    return 0;
}
