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
struct poster;
struct ersatz_device;
struct ersatz_request;
struct faults;

/* Of one request. Plain fields: its submitter's until it is pushed, then the worker's that has it. */
struct request_faults {
    uint32_t strikes; /* a bit 1 << enum ersatz_fault each; also without faults: 0 */
    bool drawn;
    bool was_overtaken;  /* reorder: has been kept back */
    bool was_in_burst;   /* burst: the same */
    unsigned resets;     /* resets of the card before it was accepted: see faults.c */
    uint64_t blamed_on;  /* the number of the request whose fault made it fail; 0: did not */
    uint64_t delay_ns;   /* how much later its completion is told */
    uint64_t shut_ns;    /* ring_full: how long the ring stays full; 0: once */
    uint64_t refused_at; /* ring_full: since when; 0: was not yet */
    uint64_t keep_until; /* while it is kept back: for no longer than this */
    uint64_t reorder_ns;
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

/* A request is computed, and its group, and would be told of at `due`: when is it, then? */
uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due);

/* In place of poster_post(), on the thread that owns the poster: some of the requests are kept back, and some
 * that were are told of. */
void faults_tell(
    struct faults *faults, struct poster *poster, struct ersatz_request *const *requests, unsigned count);

/* Whether the card is reset or gone. */
bool faults_have_card_down(const struct faults *faults);

/* The device stops: requests that hang complete with ERSATZ_STOPPED. No worker runs any more. */
void faults_stop(struct faults *faults);

#endif
