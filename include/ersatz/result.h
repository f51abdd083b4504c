/* SPDX-License-Identifier: Apache-2.0 */
/* How operations and calls of the device end. Any thread may call these functions. */
#ifndef ERSATZ_RESULT_H
#define ERSATZ_RESULT_H

#include <stdbool.h>

/* The result of an operation or of a call; ersatz_result_text() describes it. */
enum ersatz_result {
    ERSATZ_OK = 0,
    ERSATZ_RING_FULL,  /* the instance has RING_DEPTH requests in flight; try again when one is done */
    ERSATZ_BUSY,       /* the cipher state is in use by a request that is still in flight */
    ERSATZ_BAD_CONFIG, /* a size is out of range; struct ersatz_error names it */
    ERSATZ_BAD_KEY,    /* the key lacks a part the operation needs, or its parts do not fit together */
    ERSATZ_BAD_INPUT,  /* a length or a number is out of the range the operation takes */
    ERSATZ_BAD_TAG,    /* authenticated decryption: the tag does not match; the output is cleansed */
    ERSATZ_LOST,       /* the process forked while the card had a piece of this message; lost in the child */
    ERSATZ_COMPUTE_FAILED, /* libcrypto refused the computation, or its result did not verify */
    ERSATZ_NO_MEMORY,
    ERSATZ_NO_DESCRIPTORS, /* no file descriptor was free for an eventfd or a ring */
    ERSATZ_NO_THREADS,     /* a worker or reaper thread could not be started */
    ERSATZ_NO_URING,       /* io_uring is missing, forbidden or too old; struct ersatz_error names which */
    ERSATZ_STOPPED,        /* the device stopped before a worker took the request, or the process forked */
    ERSATZ_DEVICE_ERROR,   /* the card failed; like the next two, only by an injected fault (faults.h) */
    ERSATZ_DEVICE_RESET,   /* the card was reset before a worker took the request, or is being reset */
    ERSATZ_DEVICE_GONE,    /* the card is gone */
    ERSATZ_TOO_LATE,       /* the setting cannot change while the device runs */
};

/* An error with a description. */
struct ersatz_error {
    enum ersatz_result result;
    char text[1024]; /* cause and remedy, usually one sentence; always terminated */
};

/* A constant text that describes result; never NULL. */
const char *ersatz_result_text(enum ersatz_result result);

/* True if the device is at fault, so that the calling core may compute the operation instead. */
bool ersatz_result_is_device_fault(enum ersatz_result result);

#endif
