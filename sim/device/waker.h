/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The waker: an eventfd and the requests that signal it. A request is attached from its submission until its
 * submitter finishes it; by the contract of ASYNC_WAIT_CTX_new(3) there is one at a time. A request that is
 * still attached when the next one comes, or when the waker is freed, is an orphan.
 */
#ifndef ERSATZ_SIM_DEVICE_WAKER_H
#define ERSATZ_SIM_DEVICE_WAKER_H

#include "ersatz/undisturbed.h"

#include "request.h"

struct ersatz_waker {
    int fd;
    uint32_t serial;     /* of the eventfd: see descriptor.h */
    unsigned generation; /* of the process that made the eventfd */
    struct ersatz_stats *stats;
    struct ersatz_request *_Atomic attached; /* a list, newest first; see waker.c for who may change it */
    struct ersatz_lock lock;                 /* where the list has, or gets, more than one entry */
};

void waker_attach(struct ersatz_waker *waker, struct ersatz_request *request);
void waker_detach(struct ersatz_waker *waker, struct ersatz_request *request);

/* Make the descriptor unreadable. True if it was readable. */
bool waker_drain(struct ersatz_waker *waker);

/* Wait until it is readable, or for timeout_ms. */
void waker_wait(struct ersatz_waker *waker, int timeout_ms);

/* Post a signal without io_uring, for a thread that has none. Does nothing if the descriptor was closed. */
void waker_signal(int fd, uint32_t serial);

#endif
