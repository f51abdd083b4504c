/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what happened to a request. Kept for those who look at time: the model of a card, its faults, the
 * trace, and the check of the application. Where nobody does, the device is not watched and a mark costs one
 * branch.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMES_H
#define ERSATZ_SIM_DEVICE_TIMES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "ersatz/trace.h"

/*
 * Plain fields, each written by whoever has the request at that point, before the step of its state that
 * hands it on: who sees the step sees them.
 */
struct times {
    uint64_t number; /* in the order of submission on this device, from 1; 0: not submitted, or not watched */
    uint64_t at[ERSATZ_POINTS]; /* nanoseconds of CLOCK_MONOTONIC; 0: has not happened */
    pid_t submitter;            /* the thread that submitted it */
    pid_t returner;             /* the thread that its results were returned on */
    unsigned worker;            /* which worker took it up, from 0 */
    unsigned batch;             /* how many that worker took up together */
};

struct ersatz_request;

/* Forget what was, for a request that starts anew. */
void times_reset(struct ersatz_request *request);

/* Give it its number, and note who submits it. */
void times_submit(struct ersatz_request *request);

/* A worker takes it up now, with others: all of a batch at the same time. */
void times_take_up(struct ersatz_request *request, unsigned worker, unsigned batch, uint64_t now);

/* Its results are handed out. */
void times_return(struct ersatz_request *request);

/* It is at that point, now. Does nothing where the device is not watched. */
void times_mark(struct ersatz_request *request, enum ersatz_point point);

#endif
