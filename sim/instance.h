/*
 * An instance: a request ring that submitters fill, and a response ring that completions for callbacks land
 * in. At most `depth` requests are between the two, so that neither can overflow: a request takes a slot when
 * it is accepted and gives it back when its completion is handed over. Those that find no slot may wait in
 * line for one.
 */
#ifndef ERSATZ_SIM_INSTANCE_H
#define ERSATZ_SIM_INSTANCE_H

#include <liburing.h>
#include <pthread.h>

#include "request.h"
#include "ring.h"

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

    struct io_uring responses;
    pthread_mutex_t reap_lock; /* taking completions off, and sending to the ring from outside a worker */
    struct ersatz_request *parked_first; /* off the ring, not told yet: see reaper_park() */
    struct ersatz_request **parked_end;
    bool marked; /* an empty completion is on the ring */
    pthread_t reaper;
    _Atomic bool reaper_runs; /* set under reap_lock; release, after the thread is there */
};

/* On failure nothing is left behind. */
enum ersatz_result instance_init(
    struct instance *instance, struct ersatz_device *device, unsigned depth, struct ersatz_error *error);

/* Give its descriptors back: nothing is sent to it any more. */
void instance_close(struct instance *instance);

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
void instance_give_slot(struct instance *instance);

/* Take a request that no worker has taken up, from the ring or the line. NULL: none. For stopping. */
struct ersatz_request *instance_take_back(struct instance *instance);

/* Send a completion to the response ring from outside a worker; NULL stops the reaper. False: io_uring
 * refused. */
bool instance_send(struct instance *instance, struct ersatz_request *request);

#endif
