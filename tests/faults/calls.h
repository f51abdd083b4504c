/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that the module makes and that may fail: the program stands in front of the C library, liburing
 * and libcrypto, looks whether the caller is the module, and lets one place in the code fail where it is told
 * to.
 */
#ifndef ERSATZ_FAULTS_CALLS_H
#define ERSATZ_FAULTS_CALLS_H

#include <stdbool.h>

/* One place in the module that calls a function which may fail. Shared by all processes of the test. */
struct place {
    const char *function;
    unsigned long offset; /* of the return address, in the module */
    _Atomic long calls;   /* in all processes */
    _Atomic long failures;
};

#define PLACES_MAX 1024u
#define ERRORS_MAX 6u
#define FOR_GOOD 1000000000L

struct errors {
    const char *function;
    int error[ERRORS_MAX]; /* up to a 0; of a function that sets none: -1 */
    bool for_good;         /* it may fail so for ever */
};

/* Before any fork: the module that is watched is loaded. */
void calls_begin(const char *path);

/* From now on the first `times` calls of this place fail, in this process and its children. NULL: none. */
void calls_fail(const struct place *place, int error, long times);

unsigned calls_places(void);
struct place *calls_place(unsigned i);

/* How this function may fail. */
const struct errors *calls_errors(const char *function);

/* Blocks that the module has allocated and not given back, in this process. -1: a sanitizer counts. */
long calls_blocks(void);

#endif
