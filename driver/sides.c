/* SPDX-License-Identifier: Apache-2.0 */
/* See sides.h. */
#include "sides.h"

#include <pthread.h>
#include <stdlib.h>

#define MEASURED 64u /* operations that are measured */
#define SKIPPED 32u  /* before that, after a change: until what comes back was sent under the new rule */
#define STAY_MIN                                                                                             \
    4096u /* operations between two trials, at first; twice as many after each that changed nothing */
#define STAY_MAX 32768u
#define ALONE_MAX 8u
#define PATIENCE_MIN 8u
#define PATIENCE_MAX 256u

/* The last of so many operations are measured. */
static void work_on(struct sides *sides, bool here, bool trial, unsigned count)
{
    sides->here = here;
    sides->trial = trial;
    sides->skip = SKIPPED + count - MEASURED;
    sides->left = MEASURED;
    sides->alone = 0;
    sides->since = 0;
}

static void begin(struct sides *sides)
{
    sides->begun = true;
    sides->stay = STAY_MIN;
    work_on(sides, false, false, MEASURED);
}

/* The trial is over. changed: the side that was tried stays. */
static void stay(struct sides *sides, bool here, bool changed)
{
    if (changed)
        sides->stay = STAY_MIN;
    else if (sides->stay < STAY_MAX)
        sides->stay *= 2;
    work_on(sides, here, false, sides->stay);
}

bool sides_choose(struct sides *sides)
{
    if (sides == NULL)
        return true;
    if (!sides->begun)
        begin(sides);
    return !sides->here;
}

/* A difference below a thirty-second is none. */
static void decide(struct sides *sides)
{
    bool here = !(sides->cost[false] < sides->cost[true] * 31 / 32);

    if (sides->trial)
        stay(sides, here, here == sides->here);
    else
        work_on(sides, !sides->here, true, MEASURED);
}

size_t sides_bytes(const struct ersatz_op *op)
{
    return op->kind == ERSATZ_CIPHER ? op->u.cipher.len : ersatz_rsa_key_size(op->u.rsa.key);
}

/* Returns whether the calling core computes from now on: so many were on the card alone. */
static bool is_always_alone(struct sides *sides, bool in_company)
{
    sides->alone = in_company ? 0 : sides->alone + 1;
    if (sides->alone < ALONE_MAX)
        return false;
    stay(sides, true, !sides->trial);
    return true;
}

void sides_done(struct sides *sides, bool here, bool in_company, size_t len, uint64_t now)
{
    if (sides == NULL || !sides->begun || here != sides->here)
        return; /* it was begun before the sides changed */
    if (!here && is_always_alone(sides, in_company))
        return;
    if (sides->skip > 0) {
        sides->skip--;
        return;
    }
    if (sides->since == 0) {
        sides->since = now;
        sides->bytes = 0;
        return;
    }
    sides->bytes += len;
    if (--sides->left > 0)
        return;
    sides->cost[here] = (double)(now - sides->since) / (double)sides->bytes;
    decide(sides);
}

bool sides_choose_private(struct sides *sides, bool others, long sleeps)
{
    if (sides == NULL || others || sides->company)
        return true;
    if (sides->patience == 0)
        sides->patience = PATIENCE_MIN;
    if (sides->sleeps != sleeps)
        sides->awake = 0;
    sides->sleeps = sleeps;
    if (sides->awake >= sides->patience)
        return true;
    sides->awake++;
    return false;
}

void sides_private_done(struct sides *sides, bool in_company)
{
    bool before;

    if (sides == NULL)
        return;
    before = sides->company;
    sides->company = in_company;
    if (in_company) {
        sides->patience = PATIENCE_MIN;
        return;
    }
    sides->awake = 0;
    if (!before && sides->patience < PATIENCE_MAX)
        sides->patience *= 2; /* or it stays 0, in a thread that has not chosen yet */
}

/* ------------------------------------------------------------------------------------- of each thread's */

#define CLASSES 3u

static unsigned class_of(size_t len)
{
    return len <= 8192 ? 0 : len <= 32768 ? 1 : 2;
}

typedef struct sides all_sides[ERSATZ_REQUEST_NAMES][CLASSES];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* not a thread-local variable: modules that are loaded late have no room for it */
static bool has_key;

static void make_key(void)
{
    has_key = pthread_key_create(&key, free) == 0;
}

struct sides *sides_of(const struct ersatz_op *op)
{
    all_sides *all;

    pthread_once(&once, make_key);
    if (!has_key)
        return NULL;
    all = pthread_getspecific(key);
    if (all == NULL) {
        all = calloc(1, sizeof(*all));
        if (all == NULL || pthread_setspecific(key, all) != 0) {
            free(all);
            return NULL;
        }
    }
    return &(*all)[ersatz_op_name(op)][class_of(sides_bytes(op))];
}
