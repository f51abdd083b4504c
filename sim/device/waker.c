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
#include "ersatz/assertion.h"
#include "watch/check.h"

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
    atomic_init(&waker->attached, NULL);
    ersatz_lock_renew(&waker->lock);
    *out = waker;
    return ERSATZ_OK;
}

int ersatz_waker_fd(const struct ersatz_waker *waker)
{
    return waker->fd;
}

/* Mute a request whose job will not be resumed. True if its signal had been posted. reused: the waker is
 * about to signal another request; else it is freed. */
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

/*
 * The list of attached requests. Nearly always it has one entry at most, which comes and goes by one atomic
 * exchange: a signal handler that interrupts it, and jumps away or uses the card, finds the list whole.
 *
 * Everything else happens under the lock, whose holder is undisturbed. Without the lock a request leaves only
 * if it is alone in the list. So the holder may look at any request in a list of two or more; it must not
 * look at one that is alone, which may leave at any moment: waker_attach() first puts the new one in front of
 * it.
 */
void waker_attach(struct ersatz_waker *waker, struct ersatz_request *request)
{
    struct ersatz_request *older = NULL;
    struct ersatz_locked locked;

    request->waker = waker;
    request->fd = waker->fd;
    request->fd_serial = waker->serial;
    atomic_store_explicit(&request->waker_older, NULL, memory_order_relaxed);
    /* Acquire and release, here and below: who finds a request in the list sees what is in it. */
    if (atomic_compare_exchange_strong_explicit(
            &waker->attached, &older, request, memory_order_acq_rel, memory_order_acquire))
        return;
    ersatz_lock(&waker->lock, &locked);
    do
        atomic_store_explicit(&request->waker_older, older, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &waker->attached, &older, request, memory_order_acq_rel, memory_order_acquire));
    if (older != NULL && (orphan(waker, older, true) || request_is_woken_for_nothing(older)))
        waker_drain(waker); /* so that the orphan's signal is not taken for the new request's */
    ersatz_unlock(&locked);
}

void waker_detach(struct ersatz_waker *waker, struct ersatz_request *request)
{
    struct ersatz_request *_Atomic *link = &waker->attached;
    struct ersatz_request *each = request;
    struct ersatz_locked locked;

    ASSERT(request->waker == waker);
    request->waker = NULL;
    if (atomic_load_explicit(&request->waker_older, memory_order_acquire) == NULL &&
        atomic_compare_exchange_strong_explicit(
            &waker->attached, &each, NULL, memory_order_acq_rel, memory_order_acquire))
        return;
    ersatz_lock(&waker->lock, &locked);
    /* It is not alone, or was not when this began. */
    while ((each = atomic_load_explicit(link, memory_order_acquire)) != request) {
        ASSERT(each != NULL); /* it is attached */
        link = &each->waker_older;
    }
    atomic_store_explicit(
        link, atomic_load_explicit(&request->waker_older, memory_order_relaxed), memory_order_release);
    ersatz_unlock(&locked);
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
        return; /* the program closed it */
    do
        put = write(fd, &one, sizeof(one));
    while (put < 0 && errno == EINTR);
    /* EAGAIN would mean 2^64 - 2 unread signals, which is a readable descriptor all the same. */
}

void ersatz_waker_free(struct ersatz_waker *waker)
{
    /* Nearly always there is none: no job is left behind, and nothing attaches one to a context that is being
     * freed. Two system calls less for each connection of a server. */
    if (waker->generation == process_generation() &&
        atomic_load_explicit(&waker->attached, memory_order_acquire) != NULL) {
        struct ersatz_locked locked;
        struct ersatz_request *request;

        ersatz_lock(&waker->lock, &locked);
        request = atomic_exchange_explicit(&waker->attached, NULL, memory_order_acq_rel);
        while (request != NULL) {
            struct ersatz_request *older = atomic_load_explicit(&request->waker_older, memory_order_relaxed);

            orphan(waker, request, false);
            request_release(request); /* for the submitter, who is gone */
            request = older;
        }
        ersatz_unlock(&locked);
    }
    if (ersatz_waker_is_whole(waker))
        close(waker->fd);
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
    atomic_store_explicit(&waker->attached, NULL, memory_order_relaxed);
    ersatz_lock_renew(&waker->lock); /* a thread of the parent may have held it */
    waker->generation = process_generation();
    return ERSATZ_OK;
}
