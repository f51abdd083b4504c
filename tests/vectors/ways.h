/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which an operation can go through the card. */
#ifndef ERSATZ_TESTS_WAYS_H
#define ERSATZ_TESTS_WAYS_H

#include "support/card.h"

enum way { OUTSIDE, IN_JOB_BY_FD, IN_JOB_BY_CALLBACK, INLINE };

/* "outside", "fd", "callback" or "inline", from the command line; loads the card to match and makes every
 * size go to the card, or none (inline). */
struct card *way_begin(int argc, char **argv);

/* Run work(arg) that way; it must return 1. arg is given to work as in ASYNC_start_job: the address of the
 * pointer. */
void way_run(int (*work)(void *), void *arg);

/* The card has done at least so many operations under this name; or, inline, none at all. */
void way_check_card(const char *name, long at_least);

/* Whether the kernels that were asked for were used: ERSATZ_CTRL has KERNELS:portable in it, and libcrypto
 * did everything; or not, and of the AES operations Intel's library did at least so many, if this build and
 * this processor have it. */
void way_check_kernels(long at_least);

#endif
