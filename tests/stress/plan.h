/* SPDX-License-Identifier: Apache-2.0 */
/* What one round does: a value on every axis, drawn from the seed unless it was given. */
#ifndef ERSATZ_STRESS_PLAN_H
#define ERSATZ_STRESS_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How a job is told that it may go on. */
enum told { TOLD_LEVEL, TOLD_EDGE, TOLD_POLL, TOLD_BUSY, TOLD_QUEUE, TOLD_EXTERNAL, TOLD_SPOT };

/* What the card itself does wrong. With fallback nobody notices. */
enum faulty {
    FAULTS_NONE,
    FAULTS_FULL,
    FAULTS_LATE,
    FAULTS_FAIL,
    FAULTS_RESET,
    FAULTS_FAIL_FALLBACK,
    FAULTS_RESET_FALLBACK
};

enum axis_name {
    AXIS_TOLD,
    AXIS_THREADS,
    AXIS_JOBS,
    AXIS_OPERATIONS,
    AXIS_WORKERS,
    AXIS_INSTANCES,
    AXIS_DEPTH,
    AXIS_CORES,
    AXIS_THRESHOLD,
    AXIS_ROUTE,
    AXIS_TIMED,
    AXIS_SYNC,
    AXIS_EARLY,
    AXIS_ABANDON,
    AXIS_REUSE,
    AXIS_BLOCK,
    AXIS_NESTED,
    AXIS_OUTSIDE,
    AXIS_RSA,
    AXIS_SIZE,
    AXIS_HOLD,
    AXIS_DRAIN,
    AXIS_FAULTS,
    AXIS_PROFILE,
    AXES
};

#define AXIS_VALUES_MAX 12

struct axis {
    const char *name;
    const char *help;
    const char *const *words; /* of an axis whose values are words: their names; else NULL */
    unsigned calm;            /* its value where another axis is the one under test */
    unsigned largest;         /* that may be given */
    unsigned count;
    unsigned values[AXIS_VALUES_MAX]; /* to draw from */
};

extern const struct axis axes[AXES];

/* What the command line says. */
struct choice {
    uint64_t seed;
    int only; /* the one axis that is drawn; the others are calm. AXES: all are drawn */
    bool is_given[AXES];
    unsigned given[AXES];
};

struct plan {
    uint64_t seed;
    unsigned round;
    unsigned value[AXES];
};

struct plan plan_draw(const struct choice *choice, unsigned round);

/* Nothing unusual, but the same work. */
struct plan plan_calm(uint64_t seed);

/* The options that repeat the round. */
void plan_print(const struct choice *choice, unsigned round, char *line, size_t size);

/* The values themselves, for the eye. */
void plan_describe(const struct plan *plan, char *line, size_t size);

static inline bool plan_by_callback(const struct plan *plan)
{
    return plan->value[AXIS_TOLD] >= TOLD_QUEUE;
}

/* Whether an operation that is right may be refused. */
static inline bool plan_may_refuse(const struct plan *plan)
{
    return plan->value[AXIS_FAULTS] == FAULTS_FAIL || plan->value[AXIS_FAULTS] == FAULTS_RESET;
}

/* Who runs callbacks: the application, in POLL. */
static inline bool plan_polls(const struct plan *plan)
{
    return plan->value[AXIS_TOLD] >= TOLD_EXTERNAL;
}

#endif
