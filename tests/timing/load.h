/* SPDX-License-Identifier: Apache-2.0 */
/* A closed loop of operations on a device: each job submits again as soon as it has been told. */
#ifndef ERSATZ_TESTS_LOAD_H
#define ERSATZ_TESTS_LOAD_H

#include "ersatz/profile.h"

struct load_kind {
    enum ersatz_request_name name; /* ERSATZ_REQUEST_RSA_PRIV or _PUB with 2048 bits, or _AES_CTR */
    unsigned bytes;                /* AES_CTR */
};

#define LOAD_SAMPLES_MAX 200000u

/* What was measured, of the operations after the first tenth of the time. Nanoseconds; sorted. */
struct load {
    unsigned count;
    unsigned early; /* told of before they were due: must be none */
    unsigned late;  /* computed after they were due: the host is slower than the card */
    double per_second;
    double asked_ns;   /* mean, from acceptance to when they were due */
    double reached_ns; /* and to when they were told of */
    uint64_t *told;    /* after they were due: when the signal was posted, */
    uint64_t *seen;    /* and when the application had read it */
};

/* Run so many jobs on a card of this profile for so long. */
void load_run(const struct ersatz_profile *profile, const struct load_kind *kind, unsigned jobs,
    double seconds, struct load *load);
void load_free(struct load *load);

/* The sample below which that part of them lies. */
uint64_t load_quantile(const uint64_t *samples, unsigned count, double part);

#endif
