/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance: a request ring that submitters fill, and a response ring that completions for callbacks land
 * in. At most `depth` requests are between the two, so that neither can overflow: a request takes a slot when
 * it is accepted and gives it back when its completion is handed over. Those that find no slot may wait in
 * line for one.
 */
#ifndef ERSATZ_SIM_DEVICE_INSTANCE_H
#define ERSATZ_SIM_DEVICE_INSTANCE_H

#include <liburing.h>
#include <pthread.h>

#include "base/descriptor.h"
#include "base/doorbell.h"
#include "request.h"
#include "ring.h"

enum instance_ring { RING_NOT_MADE, RING_READY, RING_UNREACHABLE, RING_REFUSED };

struct instance {
    struct ersatz_device *device;
    struct ring requests;
    unsigned depth;
    _Alignas(
        64) _Atomic unsigned in_flight; /* slots taken; sequentially consistent, see instance_enqueue() */

    _Alignas(64) _Atomic unsigned line_length; /* sequentially consistent, see instance_enqueue() */
    _Atomic unsigned shut;                     /* sequentially consistent, see instance_open() */
    pthread_mutex_t line_lock;
    struct ersatz_request *line_first;
    struct ersatz_request **line_end;

    /*
     * The response ring. It is made with the first callback, by a thread that has ended since. UNREACHABLE:
     * its descriptor was closed by the program, and the number may be another's by now; what is on the ring
     * is still taken off. REFUSED: it could not be had. In both cases completions are parked instead. Release
     * when the ring is there, acquire by whoever uses it.
     */
    _Atomic int ring_state;
    struct io_uring responses;
    struct descriptor_identity ring_identity;

    pthread_mutex_t reap_lock; /* what follows, and taking completions off the ring */
    struct ersatz_request
        *parked_first; /* not on the ring, not told yet: see reaper_park(), instance_park() */
    struct ersatz_request **parked_end;
    bool kept_last; /* the first completion on the ring is of a request that was taken: see take_ring() */
    bool marked;    /* an empty completion is on the ring, or on its way */
    _Atomic bool wants_mark; /* see instance_park(); sequentially consistent, as device->marks is */
    pthread_t reaper;
    struct doorbell reaper_bell; /* where the reaper sleeps */
    _Atomic bool reaper_stops;   /* sequentially consistent; the bell is rung after it */
    _Atomic bool reaper_runs;    /* set under reap_lock; release, after the thread is there */
    _Atomic bool unattended;     /* sequentially consistent, see reaper_leave() */
};

/* On failure nothing is left behind. */
enum ersatz_result instance_init(
    struct instance *instance, struct ersatz_device *device, unsigned depth, struct ersatz_error *error);

/* Have a response ring, if one can be had. again: also where it was refused before. Any thread. */
void instance_make_ring(struct instance *instance, bool again);

static inline bool instance_has_ring(struct instance *instance)
{
    return atomic_load_explicit(&instance->ring_state, memory_order_acquire) == RING_READY;
}

/* Whether there may be completions on a ring: it is ready, or was. */
bool instance_has_completions(struct instance *instance);

/* See whether the ring's descriptor is still its own. For the threads that send messages to it: a message to
 * the number of somebody else's ring would be a completion there. */
void instance_look_at_ring(struct instance *instance);

/* Give its descriptor back: nothing is sent to it any more. In the child of a fork: the inherited one. */
void instance_close(struct instance *instance);
void instance_forget(struct instance *instance);

/* The memory, after the descriptors. */
void instance_destroy(struct instance *instance);

/* Accept a request into the ring; where there is no slot, let it wait in line, or refuse it (false). */
bool instance_enqueue(struct instance *instance, struct ersatz_request *request, bool wait_in_line);

/* The same, where the ring is to look full: the request waits in line. */
void instance_line_up(struct instance *instance, struct ersatz_request *request);

/* Let nobody in from the line until it is opened as often as it was shut. */
void instance_shut(struct instance *instance);
void instance_open(struct instance *instance);

/* Take a slot for a request that goes no further than this. False: there is none, or others wait for it. */
bool instance_enter(struct instance *instance);

/* Requests' completions are handed over: their slots are free, and the first in line get them. */
void instance_give_slots(struct instance *instance, unsigned count);

/* For stopping: take a request that no worker has taken up, from the ring or the line. It has a slot, however
 * many there are. NULL: none. */
struct ersatz_request *instance_take_back(struct instance *instance);

/* Hand a completion over without the ring: it is parked, with its slot, for the reaper or the next poll. Any
 * thread, also one of the application's, which must not submit to a ring: see uring_apart(). Where the
 * application polls, a worker is asked to send an empty completion to the ring, so that its descriptor
 * becomes readable. */
void instance_park(struct instance *instance, struct ersatz_request *request);

/* For the first worker: whether to send that now; that it was not taken, and is to be sent again; and that no
 * worker can send it. */
bool instance_wants_mark(struct instance *instance);
void instance_not_marked(struct instance *instance);
void instance_cannot_be_marked(struct instance *instance);

/* After completions were sent to the ring. */
void instance_wake_reaper(struct instance *instance);

#endif
