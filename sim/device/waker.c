/* SPDX-License-Identifier: Apache-2.0 */
/* Eventfds that belong to waiting contexts, and what becomes of requests whose context goes away. */
#include "waker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/fork.h"
#include "device.h"
#include "watch/check.h"

static void init_lock(struct ersatz_waker *waker)
{
    static const pthread_mutex_t new = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

    waker->lock = new;
}

enum ersatz_result ersatz_waker_new(struct ersatz_stats *stats, struct ersatz_waker **out)
{
    struct ersatz_waker *waker = malloc(sizeof(*waker));

    *out = NULL;
    if (waker == NULL)
        return ERSATZ_NO_MEMORY;
    waker->fd = descriptor_eventfd(&waker->serial);
    if (waker->fd < 0) {
        enum ersatz_result result = errno == ENOMEM ? ERSATZ_NO_MEMORY : ERSATZ_NO_DESCRIPTORS;

        free(waker);
        return result;
    }
    waker->generation = process_generation();
    waker->stats = stats;
    waker->attached = NULL;
    init_lock(waker);
    *out = waker;
    return ERSATZ_OK;
}

int ersatz_waker_fd(const struct ersatz_waker *waker)
{
    return waker->fd;
}

/* Silence one that nobody will come back for. True if its signal had been posted. reused: its waker is to
 * tell of another; else it goes. */
static bool orphan(struct ersatz_waker *waker, struct ersatz_request *request, bool reused)
{
    bool known = atomic_load_explicit(&request->state, memory_order_acquire) & REQUEST_MUTED;

    if (known)
        return false;
    ersatz_count(&waker->stats->orphans, 1);
    if (request->device->check != NULL)
        check_orphaned(request->device->check, &request->watched, reused);
    return request_mute(request);
}

static bool has_spurious_signal(const struct ersatz_request *request)
{
    return request_is_struck(&request->faults, ERSATZ_FAULT_SPURIOUS);
}

/*
 * A thread that is cancelled at a system call in there would leave the lock locked. To take it fails where
 * this very thread has it already: in a handler of a signal that interrupted it within the few instructions
 * that hold it, or that jumped out of them. To wait would be to wait for itself; the list is whole after each
 * of the instructions.
 */
static int lock(struct ersatz_waker *waker)
{
    int cancel;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    (void)pthread_mutex_lock(&waker->lock);
    return cancel;
}

static void unlock(struct ersatz_waker *waker, int cancel)
{
    pthread_mutex_unlock(&waker->lock);
    pthread_setcancelstate(cancel, NULL);
}

void waker_attach(struct ersatz_waker *waker, struct ersatz_request *request)
{
    int cancel = lock(waker);

    if (waker->attached != NULL &&
        (orphan(waker, waker->attached, true) || has_spurious_signal(waker->attached)))
        waker_drain(waker); /* so that the orphan's signal is not taken for the new request's */
    request->waker = waker;
    request->fd = waker->fd;
    request->fd_serial = waker->serial;
    request->waker_older = waker->attached;
    waker->attached = request;
    unlock(waker, cancel);
}

void waker_detach(struct ersatz_waker *waker, struct ersatz_request *request)
{
    struct ersatz_request **link = &waker->attached;
    int cancel = lock(waker);

    while (*link != NULL && *link != request)
        link = &(*link)->waker_older;
    if (*link != NULL)
        *link = request->waker_older;
    request->waker = NULL;
    unlock(waker, cancel);
}

bool waker_drain(struct ersatz_waker *waker)
{
    uint64_t count;
    ssize_t got;

    do
        got = read(waker->fd, &count, sizeof(count));
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(count);
}

void waker_wait(struct ersatz_waker *waker, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = waker->fd, .events = POLLIN};

    poll(&poll_fd, 1, timeout_ms); /* interrupted or timed out: the caller looks, and comes back */
}

void waker_signal(int fd, uint32_t serial)
{
    const uint64_t one = 1;
    ssize_t put;

    if (!descriptor_is_eventfd(fd, serial))
        return; /* the program closed it, and is not to be told */
    do
        put = write(fd, &one, sizeof(one));
    while (put < 0 && errno == EINTR);
    /* EAGAIN would mean 2^64 - 2 unread signals, which is a readable descriptor all the same. */
}

void ersatz_waker_free(struct ersatz_waker *waker)
{
    struct ersatz_request *request;

    if (waker->generation == process_generation()) {
        int cancel = lock(waker);

        request = waker->attached;
        waker->attached = NULL;
        while (request != NULL) {
            struct ersatz_request *older = request->waker_older;

            orphan(waker, request, false);
            request_release(request); /* for the submitter, who is gone */
            request = older;
        }
        unlock(waker, cancel);
    }
    if (ersatz_waker_is_whole(waker))
        close(waker->fd);
    pthread_mutex_destroy(&waker->lock);
    free(waker);
}

bool ersatz_waker_is_whole(const struct ersatz_waker *waker)
{
    return descriptor_is_eventfd(waker->fd, waker->serial);
}

enum ersatz_result ersatz_waker_after_fork(struct ersatz_waker *waker)
{
    if (waker->generation == process_generation())
        return ERSATZ_OK;
    /* The old one is shared with the parent: what one reads, the other misses. Replacing it in place keeps
     * the number that the wait context knows. */
    if (!descriptor_renew_eventfd(waker->fd, &waker->serial))
        return ERSATZ_NO_DESCRIPTORS;
    waker->attached = NULL;
    init_lock(waker); /* a thread of the parent may have held it */
    waker->generation = process_generation();
    return ERSATZ_OK;
}
