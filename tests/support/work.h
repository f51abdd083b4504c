/* SPDX-License-Identifier: Apache-2.0 */
/* Operations for jobs to do, each with its right result at hand. */
#ifndef ERSATZ_TESTS_WORK_H
#define ERSATZ_TESTS_WORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "support/engine.h"

#define WORK_BYTES 4096

/* One operation: an RSA signature, or AES-128-CBC of WORK_BYTES. `times` repeats it, so that a job pauses as
 * often. */
struct work {
    bool is_rsa;
    int times;
    ENGINE *engine; /* NULL: plain libcrypto */
    RSA *rsa;
    unsigned char input[WORK_BYTES], output[WORK_BYTES], expected[WORK_BYTES];
    int size;
};

/* `seed` makes inputs differ. The expected output is computed with libcrypto alone. */
struct work *work_rsa(ENGINE *engine, unsigned char seed);
struct work *work_aes(ENGINE *engine, unsigned char seed);
void work_free(struct work *work);

/* For struct job: arg is a struct work ** (as ASYNC_start_job copies it). 1: done and right. */
int work_do(void *arg);

/* The same, under ASYNC_block_pause(). */
int work_do_blocked(void *arg);

/* Do it in a job of its own, which has to pause, and to be right. polled: the engine, where it is in external
 * polling mode, so that POLL runs the callback; else NULL. */
void work_in_job(struct work *work, enum told_by told_by, ENGINE *polled);

/* Run child(work) in the child of a fork; the child then has 30 seconds. Ends the test unless it returns. */
void work_in_child(void (*child)(struct work *work), struct work *work);

/* The exit status of a child, which has to end by itself. */
int child_status(pid_t pid);

#endif
