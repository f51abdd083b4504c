/* SPDX-License-Identifier: Apache-2.0 */
/* Told by the eventfd in the wait context. */
#include <poll.h>
#include <sys/epoll.h>

#include "application.h"
#include "check.h"
#include "totals.h"
#include "watch.h"

#define WAIT_MS 50 /* then there may be something to resume early, or to abandon */
#define EVENTS 256

bool told_fd_is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN);
}

void told_watch_fd(struct slot *slot)
{
    struct application *application = slot->application;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    OSSL_ASYNC_FD fd;
    size_t number = 0;

    CHECK(ASYNC_WAIT_CTX_get_all_fds(slot->context, NULL, &number));
    CHECK_EQ(number, 1);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(slot->context, &fd, &number));
    CHECK(slot->fd == -1 || slot->fd == fd); /* one descriptor for the life of the wait context */
    if (slot->fd == fd)
        return;
    slot->fd = fd;
    if (application->round->plan->value[AXIS_TOLD] == TOLD_EDGE)
        event.events |= EPOLLET;
    CHECK_EQ(epoll_ctl(application->epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

/* A signal came to a slot: for its job, or for one that was abandoned and whose wait context lives on. */
static void signalled(struct slot *slot)
{
    if (slot->state == SLOT_WAITING) {
        slot_told(slot);
    } else if (slot->has_orphan) {
        slot_close_context(slot);
    } else {
        count(&totals.stale, 1);
        watch_report("a signal came to a wait context that waits for nothing");
        slot_close_context(slot);
    }
}

void told_by_epoll(struct application *application)
{
    struct epoll_event events[EVENTS];
    int number = epoll_wait(application->epoll, events, EVENTS, WAIT_MS);

    for (int i = 0; i < number; i++)
        signalled(events[i].data.ptr);
}

void told_by_poll(struct application *application)
{
    unsigned number = application->waiting_count;
    struct pollfd *fds = calloc(number, sizeof(*fds));
    struct slot **slots = calloc(number, sizeof(*slots));

    CHECK(fds != NULL && slots != NULL);
    for (unsigned i = 0; i < number; i++) {
        slots[i] = application->waiting[i];
        fds[i] = (struct pollfd){.fd = slots[i]->fd, .events = POLLIN};
    }
    if (poll(fds, number, WAIT_MS) > 0) {
        for (unsigned i = 0; i < number; i++) {
            if (fds[i].revents & POLLIN)
                signalled(slots[i]);
            else
                CHECK_EQ(fds[i].revents, 0); /* not a descriptor any more */
        }
    }
    free(fds);
    free(slots);
}

void told_by_trying(struct application *application)
{
    for (unsigned i = application->waiting_count; i-- > 0;) {
        /* The list changes under us: what moved into this place was seen already, or is seen again. */
        if (i < application->waiting_count)
            slot_told(application->waiting[i]);
    }
}
