/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timestamps of a request. The timing of a modelled card, faults, the trace, and the check of the
 * application need them; a device without any of these keeps none, and a timestamp costs it one branch.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMES_H
#define ERSATZ_SIM_DEVICE_TIMES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "ersatz/trace.h"

/*
 * Plain fields. The thread that has the request at a point writes them, before the step of the request's
 * state that hands it on: a thread that sees the step sees them.
 */
struct times {
    uint64_t number; /* in the order of submission on this device, from 1; 0: not submitted, or none kept */
    uint64_t at[ERSATZ_POINTS]; /* nanoseconds of CLOCK_MONOTONIC; 0: has not happened */
    pid_t submitter;            /* the thread that submitted it */
    pid_t returner;             /* the thread that its results were returned on */
    unsigned worker;            /* the index of the worker that computes it */
    unsigned batch;             /* how many requests that worker took together, */
    uint64_t cpu_ns;            /* and its processor time for all of them, where there is a check */
};

struct ersatz_request;

/* For a new request: clear all, and note when it was created. Like the rest, nothing where none are kept. */
void times_reset(struct ersatz_request *request);

/* The calling thread submits it: give it its number, unless it has one. */
void times_submit(struct ersatz_request *request);

/* A worker takes it at `now`, in a batch of that many. */
void times_take_up(struct ersatz_request *request, unsigned worker, unsigned batch, uint64_t now);

/* Its results are returned, on the calling thread. */
void times_return(struct ersatz_request *request);

/* It reaches that point now. */
void times_mark(struct ersatz_request *request, enum ersatz_point point);

#endif
