/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults at work: what becomes of a request that a rule strikes. A request's faults are drawn when it is
 * submitted first, and looked at wherever one of them makes a difference. A device without rules has no
 * struct faults, and its requests have none.
 */
#ifndef ERSATZ_SIM_DEVICE_FAULTS_H
#define ERSATZ_SIM_DEVICE_FAULTS_H

#include <stdbool.h>

#include "ersatz/faults.h"

struct compute_lanes;
struct ersatz_device;
struct ersatz_request;
struct faults;

/* Of one request. Plain fields: its submitter's until it is pushed, then the worker's that takes it, then the
 * delay line's. */
struct request_faults {
    uint32_t strikes; /* a bit 1 << enum ersatz_fault each; also without faults: 0 */
    bool drawn;
    bool was_postponed;   /* reorder: so that others may pass it */
    unsigned resets;      /* resets of the card before it was accepted: see faults.c */
    uint64_t blamed_on;   /* the number of the request whose fault made it fail; 0: did not */
    uint64_t delay_ns;    /* how much later its completion is told */
    uint64_t shut_ns;     /* ring_full: how long the ring stays full; 0: once */
    uint64_t refused_at;  /* ring_full: since when; 0: was not yet */
    uint64_t reorder_ns;  /* reorder: for how long at most */
    uint64_t burst;       /* the number of the burst that it completes with; 0: of none yet */
    enum ersatz_fault by; /* if blamed: which fault */
};

static inline bool request_is_struck(const struct request_faults *faults, enum ersatz_fault fault)
{
    return (faults->strikes & 1u << fault) != 0;
}

/* For the device's configuration; *faults is NULL where it has no rules. False: out of memory. */
bool faults_new(struct ersatz_device *device, struct faults **faults);
void faults_free(struct faults *faults); /* NULL is allowed */

/* A request starts anew. */
void faults_begin(struct ersatz_request *request);

/* A request that has its number, or the first of a group, is about to be submitted, for the first time or
 * again; by_fd: to be told by a descriptor. ERSATZ_OK: let it in. ERSATZ_RING_FULL, ERSATZ_DEVICE_RESET,
 * ERSATZ_DEVICE_GONE: it is refused. */
enum ersatz_result faults_admit(
    struct faults *faults, struct ersatz_request *request, bool by_fd, bool wait_in_line);

/* It goes into its instance. True: for a while that is full, and the request is to wait in line. */
bool faults_close_ring(struct faults *faults, struct ersatz_request *request);

/* In place of compute_batch(), for the requests that a worker has taken up. Returns how many have a result;
 * those that hang are no longer among the requests. */
unsigned faults_compute(struct faults *faults, struct compute_lanes *lanes, struct ersatz_request *requests[],
    enum ersatz_result results[], unsigned count);

/* Tell the waker of nothing. Only its submitter does that, right after the submission: then the descriptor is
 * sure to be the waker's, and no job has returned that could be told of by it. */
void faults_wake(struct faults *faults, struct ersatz_waker *waker);

/* Whether completions come in another order than they are computed in, or in bursts. Then every request goes
 * into the delay line, also one that is due now. */
bool faults_keep_order(const struct faults *faults);

/* A request and its group are computed, and would be completed at `due`. Returns when they are to be
 * completed instead, no sooner than now. For the worker. */
uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due);

/* The time of a request in the delay line has come. Returns when it is due anew; 0: complete it now. On the
 * line's thread. */
uint64_t faults_due_anew(struct faults *faults, struct ersatz_request *request);

/* Whether the card is reset or gone. */
bool faults_have_card_down(const struct faults *faults);

/* The device stops: requests that hang complete with ERSATZ_STOPPED. No worker runs any more. */
void faults_stop(struct faults *faults);

#endif
