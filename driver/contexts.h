/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the check of the application: the wait contexts of jobs that are told by callback, and whether they are
 * freed, or given to other jobs, before their operation is finished. With a descriptor libcrypto tells of the
 * end of a wait context; with a callback there is none.
 */
#ifndef ERSATZ_DRIVER_CONTEXTS_H
#define ERSATZ_DRIVER_CONTEXTS_H

#include <openssl/async.h>
#include <stdbool.h>

#include "ersatz/device.h"

/* An operation that waits to be told; in the job's own memory. */
struct waiting {
    struct waiting *next, **link; /* of all that wait; NULL: not one of them */
    ASYNC_WAIT_CTX *context;
    const void *connection; /* the SSL that the context belongs to; NULL: not libssl's */
    struct ersatz_request *request;
};

/* The operation was accepted by the card, and its job is about to pause. */
void contexts_begin(struct waiting *waiting, struct ersatz_request *request, ASYNC_WAIT_CTX *context,
    ASYNC_callback_fn callback, void *arg);

/* It is done, and about to be finished. */
void contexts_end(struct waiting *waiting);

#endif
