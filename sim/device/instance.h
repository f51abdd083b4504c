/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance: a request ring that submitters fill, and a response ring that receives a message for each
 * completion with a callback. At most `depth` requests are between the two, so that neither can overflow: a
 * request takes a slot when it is accepted, and gives it back just before it is signalled. Requests that find
 * no slot may wait in line for one.
 */
#ifndef ERSATZ_SIM_DEVICE_INSTANCE_H
#define ERSATZ_SIM_DEVICE_INSTANCE_H

#include <liburing.h>
#include <pthread.h>

#include "ersatz/undisturbed.h"

#include "base/descriptor.h"
#include "base/doorbell.h"
#include "request.h"
#include "ring.h"

#define FLIGHT_ASYM UINT64_C(1)
#define FLIGHT_CIPHER (UINT64_C(1) << ERSATZ_FLIGHTS_CIPHER_SHIFT)
#define FLIGHTS_KEPT (UINT64_C(1) << 62)

enum instance_ring { RING_NOT_MADE, RING_READY, RING_UNREACHABLE, RING_REFUSED };

struct instance {
    struct ersatz_device *device;
    unsigned index; /* of the device's instances */
    unsigned depth;
    struct ring requests;
    struct ersatz_ring_counts *counts; /* in the record, where others see them, or else the next field */
    struct ersatz_ring_counts own_counts;

    _Alignas(64) _Atomic unsigned line_length; /* sequentially consistent, see instance_enqueue() */
    _Atomic unsigned shut;                     /* sequentially consistent, see instance_open() */
    struct ersatz_lock line_lock;
    struct ersatz_request *line_first;
    struct ersatz_request **line_end;

    /*
     * The response ring. It is made with the first callback, by a thread that has ended since. UNREACHABLE:
     * the program closed its descriptor, and the number may be another file's by now; completions that are on
     * the ring are still taken. REFUSED: it could not be made. In both cases completions are parked instead.
     * Release when the ring is there, acquire before it is used.
     */
    _Atomic int ring_state;
    struct io_uring responses;
    struct descriptor_identity ring_identity;

    struct ersatz_lock reap_lock; /* for the fields below, and for taking completions off the ring */
    /* not on the ring, not signalled yet: see reaper_park(), instance_park() */
    struct ersatz_request *parked_first;
    struct ersatz_request **parked_end;
    bool kept_last; /* the request of the first completion on the ring was taken already: see take_ring() */
    bool marked;    /* an empty completion is on the ring, or on its way */
    _Atomic bool wants_mark; /* see instance_park(); sequentially consistent, as device->marks is */
    pthread_t reaper;
    struct doorbell reaper_bell; /* where the reaper sleeps */
    _Atomic bool reaper_stops;   /* sequentially consistent; the bell is rung after it */
    _Atomic bool reaper_runs;    /* set under reap_lock; release, after the thread is there */
    _Atomic bool unattended;     /* sequentially consistent, see reaper_leave() */

    _Atomic unsigned begun_before; /* counts->flights_begun at the last device_drop_idle(); relaxed */
};

/* The device's instance of that index. On failure nothing is left behind. */
enum ersatz_result instance_init(
    struct instance *instance, struct ersatz_device *device, unsigned index, struct ersatz_error *error);

/* Make the response ring, if there is none. again: try again if it could not be made before, or locked memory
 * was short. Any thread. */
void instance_make_ring(struct instance *instance, bool again);

static inline bool instance_has_ring(struct instance *instance)
{
    return atomic_load_explicit(&instance->ring_state, memory_order_acquire) == RING_READY;
}

/* Whether there may be completions on the ring: it is ready, or was. */
bool instance_has_completions(struct instance *instance);

/* Check that the ring's descriptor is still its own. Called before messages are sent to it: if the number
 * belonged to another ring, a message would be a completion there. */
void instance_check_ring(struct instance *instance);

/* Close the ring, to which nothing is sent any more; in the child of a fork, the inherited descriptor. */
void instance_close(struct instance *instance);
void instance_forget(struct instance *instance);

/* Accept a request into the ring. If there is no slot, let it wait in line, or refuse it (false). */
bool instance_enqueue(struct instance *instance, struct ersatz_request *request, bool wait_in_line);

/* Let a request wait in line as if there were no slot. */
void instance_join_line(struct instance *instance, struct ersatz_request *request);

/* Admit no request from the line until it was opened as often as it was shut. */
void instance_shut(struct instance *instance);
void instance_open(struct instance *instance);

/* Take a slot for a request that does not go into the ring. False: there is none, or requests wait in
 * line. */
bool instance_take_slot(struct instance *instance);

/* Give slots back. The first requests in line get them, even if the device begins to stop meanwhile: see
 * cancel_late() in reaper.c. */
void instance_give_slots(struct instance *instance, unsigned count);

/* For stopping: take a request from the ring or the line. It has a slot afterwards, even if there are more
 * than `depth` then. NULL: none. */
struct ersatz_request *instance_take_back(struct instance *instance);

/* Park a completion, with its slot, for the reaper or the next poll. Any thread, also one of the
 * application's, which must not submit to a ring: see uring_apart(). Where the application polls, asks the
 * first worker for a mark: an empty completion that makes the ring's descriptor readable. */
void instance_park(struct instance *instance, struct ersatz_request *request);

/* For the first worker: whether to send a mark now; that Linux refused it, and it must be sent again; that it
 * cannot be sent at all. */
bool instance_wants_mark(struct instance *instance);
void instance_mark_failed(struct instance *instance);
void instance_mark_given_up(struct instance *instance);

/* After completions were sent to the ring. */
void instance_wake_reaper(struct instance *instance);

#endif
