/* SPDX-License-Identifier: Apache-2.0 */
/* The device as its own parts see it: workers, instances, pool, doorbells, holds. */
#ifndef ERSATZ_SIM_DEVICE_DEVICE_H
#define ERSATZ_SIM_DEVICE_DEVICE_H

#include <semaphore.h>

#include "base/bits.h"
#include "instance.h"
#include "linger.h"
#include "pool.h"
#include "worker.h"

struct ersatz_device {
    struct ersatz_config config;
    unsigned generation;      /* of the process that opened it */
    unsigned cores;           /* that it may run on; constant */
    bool keeps_times;         /* records the times of requests: see times.h; constant */
    struct check *check;      /* of the application, or NULL; constant */
    struct faults *faults;    /* NULL: none are injected; constant */
    struct timing *timing;    /* the timing of a modelled card; NULL: as fast as it goes */
    struct timers *timers;    /* NULL: nothing is ever delayed; both are constant while the device runs */
    struct ersatz_load *load; /* shows this device, until its memory is freed; NULL: nothing does; constant */
    struct worker *workers;   /* config.workers of them */
    unsigned workers_started;
    bool locked_memory_is_short; /* a worker had no ring; for workers, which start one after the other */
    struct instance *instances;  /* config.instances of them */
    unsigned instances_ready;
    _Atomic bool stopping;        /* sequentially consistent: see stop_begin() */
    _Atomic int hold;             /* enum ersatz_hold; relaxed: a doorbell follows every change */
    _Atomic bool makes_responses; /* the first response ring, which is needed in any case; relaxed */
    _Atomic bool marks;           /* an instance wants a mark: see instance_park(), device_ask_for_marks() */
    /* A bit for each instance that has requests in flight, or had of late. Workers look at no others.
     * Sequentially consistent, see device_drop_idle() */
    _Atomic uint64_t active[BITS_WORDS(ERSATZ_INSTANCES_MAX)];

    /* All cores read the fields above with every request; they are seldom written. So the fields that are
     * written with every request have cache lines of their own: those for submitters, */
    _Alignas(64) _Atomic uint32_t references; /* the opener's, a thread's; see device_close() */
    _Atomic uint64_t last_number; /* of the requests submitted; relaxed. Only where times are kept: their
                                     order must be exact, and repeatable */

    /* and those for workers: how many sleep or nap, and a bit for each that sleeps. A worker that is being
     * woken does neither any more. Sequentially consistent, see device_ring_doorbell() */
    _Alignas(64) _Atomic unsigned resting;
    _Atomic uint64_t sleepers[BITS_WORDS(ERSATZ_WORKERS_MAX)];
    _Atomic unsigned pass; /* as many operations as the kernel computes at once, if those that were taken
                            * last were private RSA; else 0. Relaxed: a hint, for company.c */
    struct lingering lingering;
    _Atomic long tickets; /* how many requests may still pass while held; relaxed */

    struct pool pool;

    /* The end: see stop.c. The fields without _Atomic are written before `leaving`, and then constant. */
    _Atomic bool asked_to_stop;
    struct instance *stopped_by; /* if the asking thread is a reaper in a callback: its instance; else NULL */
    pid_t stopper;               /* the thread that asked */
    unsigned lenders_below;      /* how many calls of lend() it has interrupted, as a signal handler */
    bool free_when_stopped;
    _Atomic bool leaving;               /* for the first worker; sequentially consistent */
    sem_t all_but_caller;               /* posted when all reapers but `stopped_by`'s have ended */
    _Atomic bool stopped;               /* set by the first worker, when all others have ended */
    _Atomic bool given_up;              /* the thread that ends the process waits no longer */
    struct ersatz_device *next_leaving; /* under the lock in stop.c */
};

/* The instance that the calling thread submits to. */
struct instance *device_own_instance(struct ersatz_device *device);

/* A request from the pool. NULL: out of memory. The device's memory stays until it is returned. */
struct ersatz_request *device_take(struct ersatz_device *device);
void device_return(struct ersatz_request *request);

/* Add a reference to the device, and drop one; the last one frees its memory. */
void device_reference(struct ersatz_device *device);
void device_release(struct ersatz_device *device);

/* Drop the opener's reference. The requests in use have one each from now on; none can be made any more. */
void device_close(struct ersatz_device *device);

/* Ring a worker's doorbell: it looks for work, holds and the end of the device. Any thread. */
void device_wake_worker(struct ersatz_device *device, unsigned index);

/* How many workers are awake, or being woken. Each of them looks for work before it sleeps. Sequentially
 * consistent. */
static inline unsigned device_awake(struct ersatz_device *device)
{
    return device->config.workers - atomic_load(&device->resting);
}

/* A worker goes to sleep, and then looks for work; it is awake again. */
void device_fell_asleep(struct ersatz_device *device, unsigned worker);
void device_woke_up(struct ersatz_device *device, unsigned worker);

/* Wake one sleeping worker, if there is one, and fewer workers are awake than there are cores: after a
 * request was put into the ring of that instance. */
void device_ring_doorbell(struct ersatz_device *device, unsigned instance);

/* Wake every worker, so that it sees a changed hold, or the end of the device. */
void device_wake_workers(struct ersatz_device *device);

/* Whether a request may pass the point `where`. Uses up a ticket if requests are held there; *ticket says
 * whether it did, and may be NULL. */
bool device_may_pass(struct ersatz_device *device, enum ersatz_hold where, bool *ticket);

/* No request passed after all: give the ticket back if there was one. */
void device_return_ticket(struct ersatz_device *device, enum ersatz_hold where, bool ticket);

/* Whether any worker sleeps; whether all do, or the device is stopping. Sequentially consistent, as the bit
 * that a worker sets before it sleeps. */
static inline bool device_has_sleepers(struct ersatz_device *device)
{
    return bits_next(device->sleepers, 0, device->config.workers) < device->config.workers;
}

static inline bool device_is_asleep(struct ersatz_device *device)
{
    bool asleep = true;

    if (atomic_load(&device->stopping))
        return true;
    for (unsigned i = 0; i < device->config.workers && asleep; i++)
        asleep = bits_has(device->sleepers, i);
    return asleep;
}

/* Whether there are requests in a ring that a worker may take. from: the instance to look at first. */
bool device_has_work(struct ersatz_device *device);
bool device_has_work_from(struct ersatz_device *device, unsigned from);

/* How many requests are in the rings. Looks no further when it has counted `enough`. from: the instance to
 * look at first. */
size_t device_waiting(struct ersatz_device *device, unsigned from, size_t enough);

/* For a worker, every so often, and before it looks for work: drop from the active instances those in which
 * no request has begun since this was last called. */
void device_drop_idle(struct ersatz_device *device);

/*
 * Each worker is bound to a few instances, or each instance to a few workers: worker w and instance i belong
 * together if both leave the same remainder by this number, the smaller of the two counts. A worker looks at
 * its own instances first, and a request first wakes a worker of its instance. So with as many instances as
 * workers each has a core's cache lines to itself.
 */
static inline unsigned device_bindings(const struct ersatz_device *device)
{
    return device->config.workers < device->config.instances ? device->config.workers
                                                             : device->config.instances;
}

/* Have the first worker look for instances that want a mark. Any thread. */
void device_ask_for_marks(struct ersatz_device *device);

/* For the first worker: whether it was asked since it last called this. */
bool device_take_marks(struct ersatz_device *device);

/* How many operations of this kind are in flight; some that begin or end meanwhile may be missing. Looks no
 * further when it has counted `enough`. */
unsigned device_flights(struct ersatz_device *device, enum ersatz_flight kind, unsigned enough);

/* Count a request as in flight at its instance, which is active from then on; and as no longer in flight. */
void device_flight_began(struct ersatz_request *request);
void device_flight_ended(struct ersatz_request *request);

/* Whether its descriptor is made readable before the request is complete. */
static inline bool request_is_woken_for_nothing(const struct ersatz_request *request)
{
    return request->device->faults != NULL && (request_is_struck(&request->faults, ERSATZ_FAULT_SPURIOUS) ||
                                                  request_is_struck(&request->faults, ERSATZ_FAULT_EARLY));
}

/* Count that many RSA operations and cipher operations as no longer in flight. */
void device_flights_ended(struct instance *instance, unsigned asym, unsigned cipher);

/* Report on standard error an error of which no caller can be told. */
void device_complain(const char *what, int err);

static inline struct ersatz_stats *device_stats(const struct ersatz_device *device)
{
    return device->config.stats;
}

/* NULL: event-driven. */
static inline const struct ersatz_polling *device_polling(const struct ersatz_device *device)
{
    return device->config.polling;
}

static inline unsigned device_generation(const struct ersatz_device *device)
{
    return device->generation;
}

static inline bool device_polled_externally(const struct ersatz_device *device)
{
    return device->config.external_polling;
}

#endif
