/* SPDX-License-Identifier: Apache-2.0 */
/* The device as its own parts see it: workers, instances, pool, and what wakes or holds them. */
#ifndef ERSATZ_SIM_DEVICE_DEVICE_H
#define ERSATZ_SIM_DEVICE_DEVICE_H

#include <semaphore.h>

#include "instance.h"
#include "linger.h"
#include "pool.h"
#include "worker.h"

struct ersatz_device {
    struct ersatz_config config;
    unsigned generation;    /* of the process that opened it */
    unsigned cores;         /* that it may run on; constant */
    bool keeps_times;       /* see times.h; constant */
    struct check *check;    /* of the application, or NULL; constant */
    struct faults *faults;  /* NULL: none are injected; constant */
    struct timing *timing;  /* the timing of a modelled card; NULL: as fast as it goes */
    struct timers *timers;  /* NULL where nothing is ever delayed; both constant while the device runs */
    struct worker *workers; /* config.workers of them */
    unsigned workers_started;
    struct instance *instances; /* config.instances of them */
    unsigned instances_ready;
    _Atomic bool stopping; /* sequentially consistent: see stop_begins() */
    _Atomic int hold;      /* enum ersatz_hold; relaxed: a doorbell follows every change */
    _Atomic bool marks;    /* some instance wants one: see instance_park(), device_ask_for_marks() */

    /* What lies above is read with every request, by all cores, and seldom written. So what is written with
     * every request has cache lines of its own: those for submitters, */
    _Alignas(64) _Atomic uint32_t references; /* the opener's, and one per request that is out */
    _Atomic uint64_t last_number;             /* of the requests submitted; relaxed, see times_submit() */

    /* and those for workers: a bit for each that sleeps; sequentially consistent, see device_ring_doorbell()
     */
    _Alignas(64) _Atomic uint64_t sleepers;
    struct lingering lingering;
    _Atomic unsigned lenders; /* threads that compute in lend(); sequentially consistent, see there */
    _Atomic long tickets;     /* how many requests may still pass while held; relaxed */

    struct pool pool;

    /* The end: see stop.c. */
    _Atomic bool asked_to_stop;  /* by whom, the following says: written before `leaving`, then constant */
    struct instance *stopped_by; /* whose reaper is the one, in a callback; or NULL */
    pid_t stopper;          /* the thread that has it stop; written before `leaving`, or read by itself */
    unsigned lenders_below; /* in how many operations of its own the one was interrupted */
    bool free_when_stopped;
    _Atomic bool leaving;               /* for the first worker; sequentially consistent */
    sem_t all_but_caller;               /* posted when no thread but the one's own is left */
    _Atomic bool stopped;               /* by the first worker, as the last thing: nothing runs any more */
    _Atomic bool given_up;              /* whoever ends the process does not wait any longer */
    struct ersatz_device *next_leaving; /* under the lock in stop.c */
};

/* A request from the pool, with a reference to the device. NULL: out of memory. */
struct ersatz_request *device_take(struct ersatz_device *device);
void device_return(struct ersatz_request *request);

/* Add a reference to the device, and drop one; the last one frees its memory. */
void device_reference(struct ersatz_device *device);
void device_release(struct ersatz_device *device);

/* Wake one sleeping worker, if any sleeps: after work was put where workers look. */
void device_ring_doorbell(struct ersatz_device *device);

/* Wake every worker: a hold, or the end of the device, is to be seen. */
void device_wake_workers(struct ersatz_device *device);

/* Whether a request may go past the point `where`; uses up a ticket if requests are held there. *ticket:
 * whether it did; may be NULL. */
bool device_may_pass(struct ersatz_device *device, enum ersatz_hold where, bool *ticket);

/* Nothing went past it: the ticket, if there was one, is for another. */
void device_did_not_pass(struct ersatz_device *device, enum ersatz_hold where, bool ticket);

/* Whether no worker is awake, or will be. Sequentially consistent, as what a worker says before it sleeps. */
bool device_is_asleep(struct ersatz_device *device);

/* Whether there are requests in a ring that a worker may take. */
bool device_has_work(struct ersatz_device *device);

/* Have the first worker look for instances that want a mark. Any thread. */
void device_ask_for_marks(struct ersatz_device *device);

/* For the first worker: whether it is to do so. */
bool device_takes_up_marks(struct ersatz_device *device);

/* Count a request as in flight, and as no longer in flight. */
void device_flight_began(struct ersatz_request *request);
void device_flight_ended(struct ersatz_request *request);

/* So many are no longer in flight: RSA, and ciphers. */
void device_flights_ended(struct ersatz_device *device, unsigned asym, unsigned cipher);

/* Say on standard error what must not happen and cannot be reported to anybody. */
void device_complain(const char *what, int err);

struct ersatz_stats *device_stats(const struct ersatz_device *device);
const struct ersatz_polling *device_polling(const struct ersatz_device *device); /* NULL: event-driven */
unsigned device_generation(const struct ersatz_device *device);
bool device_polled_externally(const struct ersatz_device *device);

#endif
