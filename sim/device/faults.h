/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injects faults. The faults of a request are drawn when it is submitted for the first time, and take effect
 * on its way through the card. A device without rules has no struct faults, and its requests have no faults.
 */
#ifndef ERSATZ_SIM_DEVICE_FAULTS_H
#define ERSATZ_SIM_DEVICE_FAULTS_H

#include <stdbool.h>

#include "ersatz/faults.h"

struct compute_lanes;
struct ersatz_device;
struct ersatz_request;
struct faults;

/* The faults of one request. Plain fields: only the thread that has the request uses them, first its
 * submitter, then a worker, then the timer thread. */
struct request_faults {
    uint32_t strikes; /* a bit 1 << enum ersatz_fault for each */
    bool drawn;
    bool was_postponed;   /* reorder: so that others may pass it */
    unsigned resets;      /* resets of the card before it was accepted: see faults.c */
    uint64_t blamed_on;   /* the number of the request whose fault made it fail; 0: none did */
    uint64_t delay_ns;    /* how much later it completes */
    uint64_t shut_ns;     /* ring_full: how long the ring stays full; 0: once */
    uint64_t refused_at;  /* ring_full: when it was refused first; 0: was not yet */
    uint64_t reorder_ns;  /* reorder: for how long at most */
    uint64_t hang_ns;     /* hang: after which time it fails; 0: it does not */
    uint64_t hung_until;  /* hang: when that is */
    uint64_t burst;       /* the number of the burst that it completes with; 0: of none yet */
    uint64_t early_ns;    /* early: for how long it waits until its job is resumed */
    uint64_t fork_ns;     /* fork: for how long it waits until the program forks */
    uint64_t ready_ns;    /* ready: for how long its submitter waits */
    uint64_t up_at;       /* boot: when the card is up; 0: it was */
    uint8_t held;         /* enum held_for, of faults_due.c */
    uint64_t held_until;  /* fork: when its time is over */
    _Atomic bool resumed; /* early: its job was resumed before its time; see faults_resumed_early() */
    enum ersatz_fault by; /* which fault that was, unless blamed_on is 0 */
};

static inline bool request_is_struck(const struct request_faults *faults, enum ersatz_fault fault)
{
    return (faults->strikes & 1u << fault) != 0;
}

/* For the device's configuration; *faults is NULL where it has no rules and is not steered. False: out of
 * memory. */
bool faults_new(struct ersatz_device *device, struct faults **faults);
void faults_free(struct faults *faults); /* NULL is allowed */

/* Whether the card admits a request, or the group whose first it is, that is about to be submitted, for the
 * first time or again. It has its number and its way to be signalled. ERSATZ_OK: it is admitted.
 * ERSATZ_RING_FULL, ERSATZ_DEVICE_RESET, ERSATZ_DEVICE_GONE: it is refused. */
enum ersatz_result faults_admit(struct faults *faults, struct ersatz_request *request, bool wait_in_line);

/* Until when a fault keeps the ring full for a request that was refused, in nanoseconds of CLOCK_MONOTONIC.
 * 0: it does not. */
uint64_t faults_full_until(const struct ersatz_request *request);

/* Whether the request closes its instance's ring for a while, as if the ring were full; then the request is
 * to wait in line. */
bool faults_close_ring(struct faults *faults, struct ersatz_request *request);

/* In place of compute_batch(), for the requests that a worker has taken. Returns how many of them have a
 * result; those that hang are no longer among the requests. */
unsigned faults_compute(struct faults *faults, struct compute_lanes *lanes, struct ersatz_request *requests[],
    enum ersatz_result results[], unsigned count);

/* For the submitter, right after the submission: then the descriptor is certainly the waker's, and the job
 * has not returned. Signals the waker for nothing (NULL: there is none), or waits until the request is
 * signalled. */
void faults_before_pause(struct faults *faults, struct ersatz_request *request, struct ersatz_waker *waker);

/* The request's job was resumed, and it is not complete. For the submitter. */
void faults_resumed_early(struct faults *faults, struct ersatz_request *request);

/* The program is about to fork: complete the requests that wait for that, or wait 20 ms at most. */
void faults_forking(struct faults *faults);

/* Whether completions are reordered, come in bursts, or wait for what the program does. Then every request
 * goes through the timers, also one that is due now. */
bool faults_order_completions(const struct faults *faults);

/* A request and its group are computed, and would be completed at `due`. Returns when they are to be
 * completed instead, no sooner than now. For the worker. */
uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due);

/* A request in the timers is due. Returns when it is due again; 0: complete it now. On the timer thread. */
uint64_t faults_due_again(struct ersatz_request *request);

/* Whether the card is reset or gone. */
bool faults_have_card_down(const struct faults *faults);

/* The device stops, and no worker runs any more: complete the requests that hang, with ERSATZ_STOPPED. */
void faults_stop(struct faults *faults);

#endif
