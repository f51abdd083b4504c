/*
 * Faults at work: what becomes of a request that a rule strikes. A request's faults are drawn when it is
 * submitted first, and looked at wherever one of them makes a difference. A device without rules has no
 * struct faults, and its requests have none.
 */
#ifndef ERSATZ_SIM_FAULTS_H
#define ERSATZ_SIM_FAULTS_H

#include <stdbool.h>

#include "ersatz/faults.h"

struct compute_lanes;
struct ersatz_device;
struct ersatz_request;
struct faults;

/* Of one request. Plain fields: its submitter's until it is pushed, then the worker's that has it. */
struct request_faults {
    uint32_t strikes; /* a bit 1 << enum ersatz_fault each; also without faults: 0 */
    bool drawn;
    unsigned life;        /* which life of the card it was accepted in: see faults.c */
    uint64_t blamed_on;   /* the number of the request whose fault made it fail; 0: did not */
    uint64_t delay_ns;    /* how much later its completion is told */
    uint64_t shut_ns;     /* ring_full: how long the ring stays full; 0: once */
    uint64_t refused_at;  /* ring_full: since when; 0: was not yet */
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
 * again. ERSATZ_OK: let it in, in line if RING_FULL is still among its strikes. ERSATZ_RING_FULL,
 * ERSATZ_DEVICE_RESET, ERSATZ_DEVICE_GONE: it is refused. */
enum ersatz_result faults_at_the_door(
    struct faults *faults, struct ersatz_request *request, bool wait_in_line);

/* In place of compute_batch(), for the requests that a worker has taken up. Returns how many have a result;
 * those that hang are no longer among the requests. */
unsigned faults_compute(struct faults *faults, struct compute_lanes *lanes, struct ersatz_request *requests[],
    enum ersatz_result results[], unsigned count);

/* Whether the card is reset or gone. */
bool faults_have_card_down(const struct faults *faults);

/* The device stops: requests that hang complete with ERSATZ_STOPPED. No worker runs any more. */
void faults_stop(struct faults *faults);

#endif
