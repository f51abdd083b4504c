/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways an operation can take: on this thread without a job, in a job that is told by descriptor, in a job
 * that is told by callback; with the engine given explicitly or as the default. And repeatable numbers, to
 * make up inputs from.
 */
#ifndef ERSATZ_TESTS_ALL_WAYS_H
#define ERSATZ_TESTS_ALL_WAYS_H

#include "check.h"
#include "support/engine.h"

/* The engine, with every size of every cipher going to the card, whatever `more` (commands, or NULL) says. No
 * cipher of it is the default. */
ENGINE *ways_engine(const char *more);

/* From how many bytes on text goes to the card, with every cipher. */
void ways_set_thresholds(ENGINE *engine, unsigned bytes);

/* The engine's ciphers become the default, or are no longer it. */
void ways_set_default(ENGINE *engine, bool is_default);

enum way { WAY_PLAIN, WAY_FD, WAY_CALLBACK, WAYS };

/* function(arg), which returns a truth value. */
bool way_run(enum way way, int (*function)(void *), void *arg);

struct numbers {
    uint64_t state; /* the seed; not 0 */
};
uint32_t number_below(struct numbers *numbers, uint32_t limit);
void number_fill(struct numbers *numbers, void *out, size_t len);

#endif
