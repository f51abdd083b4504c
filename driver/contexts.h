/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the check of the application, in callback mode: notices when a wait context is freed, or given to
 * another job, before its operation is finished. With a descriptor libcrypto reports the end of a wait
 * context; in callback mode there is no descriptor.
 */
#ifndef ERSATZ_DRIVER_CONTEXTS_H
#define ERSATZ_DRIVER_CONTEXTS_H

#include <openssl/async.h>
#include <stdbool.h>

#include "ersatz/device.h"

/* An operation that waits for its callback; in the job's own memory. */
struct waiting {
    struct waiting *next, **link; /* in the list of all; link is NULL: not in it */
    ASYNC_WAIT_CTX *context;
    const void *connection; /* the SSL that the context belongs to; NULL: not libssl's */
    struct ersatz_request *request;
};

/* Call when the card has accepted the operation, before its job pauses. */
void contexts_begin(struct waiting *waiting, struct ersatz_request *request, ASYNC_WAIT_CTX *context,
    ASYNC_callback_fn callback, void *arg);

/* Call when the operation is done, before it is finished. */
void contexts_end(struct waiting *waiting);

#endif
