/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request: one operation on its way through the card, in memory that the device owns.
 *
 * Its states, and who takes which step, stand in base/state.h.
 */
#ifndef ERSATZ_SIM_DEVICE_REQUEST_H
#define ERSATZ_SIM_DEVICE_REQUEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "ersatz/device.h"

#include "base/state.h"
#include "faults.h"
#include "times.h"
#include "watch/watched.h"

/* Of its buffer, while the request is in the pool. */
enum buffer_state { BUFFER_OWNED, BUFFER_LEFT, BUFFER_BEING_CLEANSED };

enum notify_kind { NOTIFY_FD, NOTIFY_CALLBACK, NOTIFY_WAIT };

struct instance;

/*
 * What every request needs comes first: of RSA, the two cache lines that travel to the worker's core and
 * back, of which the worker writes the first, and the fourth line, which stays with the submitter's core; of
 * a cipher the third, too, with the rest of its operation. A thread with hundreds of requests in flight finds
 * each of their lines beyond its nearest cache. What follows them is used where a device has a check, a
 * trace, faults and so on, and for callbacks.
 */
struct ersatz_request {
    /* Each step releases what the stepping thread has written; each look acquires it. */
    _Alignas(64) _Atomic uint32_t state;
    /* The submitter's, and the device's from acceptance until SIGNALLED. The last one to go cleans up. */
    _Atomic uint32_t references;
    enum ersatz_result result;   /* written before COMPLETE */
    _Atomic uint32_t group_open; /* of a group's first: how many of the group are not complete */
    int fd;                      /* NOTIFY_FD: valid from submission until SIGNALLED, unless MUTED, */
    uint32_t fd_serial;          /* as long as it is this one: see descriptor.h */
    uint32_t pool_index;         /* constant */
    uint8_t notify;              /* enum notify_kind */
    /* From when it is accepted into the ring; written by the thread that has the request then. Of a request
     * that is parked: under the instance's reap lock. */
    bool has_slot;
    /* As it was submitted. The text is in the application's memory: direct.h; its instance had others of its
     * kind in flight; copied, and if it succeeds, the buffer holds no secret. */
    bool copied : 1, direct : 1, in_company : 1, leaves_ciphertext : 1;
    struct instance *instance; /* set when submitted */
    struct ersatz_device *device;
    struct ersatz_request *next; /* in the instance's line, in a worker's list, or parked */

    /* A group: see ersatz_request_join(). The first holds the submitter's references of the others, and is
     * the one that is signalled. */
    struct ersatz_request *first;      /* of the group; itself where there is none */
    struct ersatz_request *group_next; /* before submission as they join; then constant */
    struct ersatz_op op;               /* points to memory of the device, or of a waiting thread */

    /* The submitter's alone. Copied: where the results go; tag: NULL if there is none. */
    _Alignas(64) uint8_t *caller_out;
    uint8_t *caller_tag;
    struct ersatz_waker *waker;                 /* NOTIFY_FD: while attached */
    struct ersatz_request *_Atomic waker_older; /* the next older one attached to the same waker: waker.c */
    uint8_t *buffer;
    size_t buffer_secret; /* how much of it is, from the beginning; with who has the buffer */
    size_t buffer_size;
    _Atomic uint32_t pool_next; /* in the pool's free list */
    uint16_t pool_list;         /* constant */
    /* enum buffer_state: release when the buffer is left, acquire to take it */
    _Atomic uint8_t buffer_state;

    int (*callback)(void *);
    void *callback_arg;
    pthread_t caller; /* NOTIFY_CALLBACK: the thread that runs the callback; written before SIGNALLING */
    struct times times;
    struct request_faults faults;
    uint64_t accepted, due; /* if the device has a timing: accepted at, and to be signalled at */
    struct watched watched; /* what the check sees of it; set where there is a check */
    uint64_t trace_turn;    /* in the trace, where there is one */
    struct {                /* direct, where there is a check: sums of the text */
        uint64_t in, out;   /* as the request was made; as the card wrote it */
    } direct_sums;
};

_Static_assert(ERSATZ_INSTANCES_MAX <= UINT16_MAX, "pool_list has room for each instance");
_Static_assert(offsetof(struct ersatz_request, op) >= 64, "a worker writes the first line only");
_Static_assert(offsetof(struct ersatz_request, op.u.rsa.blinded) < 128, "RSA needs the first two lines");
_Static_assert(offsetof(struct ersatz_request, caller_out) == 192, "an operation ends in the third line");
_Static_assert(offsetof(struct ersatz_request, callback) == 256, "the submitter has one line to itself");

static inline enum request_state request_state(const struct ersatz_request *request)
{
    return state_of(&request->state);
}

static inline enum ersatz_flight request_flight(const struct ersatz_request *request)
{
    return request->op.kind == ERSATZ_CIPHER ? ERSATZ_FLIGHT_CIPHER : ERSATZ_FLIGHT_ASYM;
}

/* Whether a parent of this process made it, on a device that does not exist in this process. */
bool request_is_inherited(const struct ersatz_request *request);

/* Take the one step that leaves this state. Returns the word as it was, flags included. Only for
 * complete.c. */
uint32_t request_step(struct ersatz_request *request, enum request_state from);

/* Forbid the signal. Returns when it cannot arrive any more; true if it had been posted before. */
bool request_mute(struct ersatz_request *request);

/* Sleep until the state is at least that, or for timeout_ms (-1: for ever). */
void request_sleep_until(struct ersatz_request *request, enum request_state state, int timeout_ms);

void request_reference(struct ersatz_request *request);

/* Drop a reference; the last one gives the request back to the device. */
void request_release(struct ersatz_request *request);

/* The cipher state is free for its next operation: this one was computed, or never will be. */
void request_leave_cipher(struct ersatz_request *request);

#endif
