/* SPDX-License-Identifier: Apache-2.0 */
/* All the ways to use a card, on one that may fail: each operation gives the right answer, or an error that
 * says something. */
#ifndef ERSATZ_FAULTS_USES_H
#define ERSATZ_FAULTS_USES_H

#include <stdbool.h>

#define USES_QUESTIONS 20
#define USES_OPERATIONS (5 * USES_QUESTIONS + 10) /* of uses_run(), about */
#define USES_SECONDS 60                           /* then a process that uses the card is ended */

/* A process that was ever taken for one in a sandbox stays that: the calling core computes. */
extern bool uses_may_be_confined;

/* Makes the operations and their right answers. Once, after keys_load(). records: the directory of records,
 * which must stay. */
void uses_prepare(const char *records);

/* Uses cards in each way, one after the other. strict: nothing may be refused. all_done: nothing that the
 * calling core can do. */
void uses_run(bool fallback, bool all_done, bool strict);

#endif
