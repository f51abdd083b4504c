/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OFFLOAD:fastest, for operations on which the card gains only in company, when it computes several side by
 * side: CBC to encrypt, CFB to encrypt, OFB, CBC with HMAC, and public RSA operations. How many must be in
 * flight for that, and whether any number is enough, depends on the length of the text, on the processor, and
 * on what handing over costs between its cores. So both sides, the card and the calling core, are tried, and
 * the one stays on which more bytes are done in a second; if there is no difference, the calling core. From
 * time to time the other one is tried again. Where nobody else is in flight, the calling core computes.
 *
 * A private RSA operation of a job goes to the card if another one is there, or the last one had company:
 * then the jobs of the others may be about to go on. If not, the card would compute
 * it alone, in the same time as the calling core, and hand it over and back besides. Others come along only
 * if the program has more to do than its threads can: then a thread does one operation after the other and
 * never sleeps in between. So the calling core computes until it has done several without sleeping; then one
 * goes to the card, where others find it. If none did, the thread is more patient the next time.
 */
#ifndef ERSATZ_DRIVER_SIDES_H
#define ERSATZ_DRIVER_SIDES_H

#include "ersatz/device.h"

/* What one thread knows of operations of one kind. Zeroed to begin with. */
struct sides {
    bool begun;
    bool here;             /* the calling core computes now, not the card */
    bool trial;            /* for the length of one measurement */
    unsigned skip, left;   /* operations that are not measured, and then those until there is a decision */
    unsigned stay;         /* how many operations the winner of a trial gets */
    unsigned alone;        /* operations in a row that were on the card without company */
    uint64_t since, bytes; /* of the measurement: its begin, and what was done */
    double cost[2];        /* nanoseconds a byte, on the card and here */
    bool company;          /* private RSA: the last one on the card had it */
    long sleeps;           /* private RSA: of the thread, at its latest operation */
    unsigned awake;        /* private RSA: operations since the thread slept */
    /* private RSA: how many it does without sleeping before one goes to the card; 0: not set */
    unsigned patience;
};

/* Where an operation goes. True: to the card. */
bool sides_choose(struct sides *sides);

/* The length of the operation's text, or of its RSA key. */
size_t sides_bytes(const struct ersatz_op *op);

/* An operation of so many bytes that was computed on that side is done; on the card, alone or not. now: in
 * nanoseconds. */
void sides_done(struct sides *sides, bool here, bool in_company, size_t len, uint64_t now);

/* The same for a private RSA operation. others: some are on the card. sleeps: how often the thread has slept
 * so far. */
bool sides_choose_private(struct sides *sides, bool others, long sleeps);

/* A private RSA operation has been on the card, alone or not. */
void sides_private_done(struct sides *sides, bool in_company);

/* The calling thread's, for operations like this one. Not to be kept over a pause, after which the job may be
 * in another thread. NULL: there is no memory for it; the other functions take that. */
struct sides *sides_of(const struct ersatz_op *op);

#endif
