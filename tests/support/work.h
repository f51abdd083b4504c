/* SPDX-License-Identifier: Apache-2.0 */
/* Operations for jobs to do, each with its right result at hand. */
#ifndef ERSATZ_TESTS_WORK_H
#define ERSATZ_TESTS_WORK_H

#include <stdbool.h>

#include "support/card.h"

#define WORK_BYTES 4096

/* One operation: an RSA signature, or AES-128-CBC of WORK_BYTES. `times` repeats it, so that a job pauses as
 * often. */
struct work {
    bool is_rsa;
    int times;
    struct card *card; /* NULL: plain libcrypto */
    EVP_PKEY *key;
    EVP_PKEY_CTX *signer;
    unsigned char input[WORK_BYTES], output[WORK_BYTES], expected[WORK_BYTES];
    int size;
};

/* `seed` makes inputs differ. The expected output is computed with libcrypto alone. */
struct work *work_rsa(struct card *card, unsigned char seed);
struct work *work_aes(struct card *card, unsigned char seed);
void work_free(struct work *work);

/* Sign with this key of the same card instead; both hold it. NULL: the work signs no more. */
void work_set_key(struct work *work, EVP_PKEY *key);

/* For struct job: arg is a struct work ** (as ASYNC_start_job copies it). 1: done and right. */
int work_do(void *arg);

/* The same, under ASYNC_block_pause(). */
int work_do_blocked(void *arg);

/* Do it in a job of its own, which has to pause, and to be right. polled: the card, where it is in external
 * polling mode, so that POLL runs the callback; else NULL. */
void work_in_job(struct work *work, enum told_by told_by, struct card *polled);

/* A job that is told by a callback, on a card in external polling mode, and whose completion waits behind fd:
 * no callback comes before the poll, one comes by it, fd is readable no longer, and the job ends, right.
 * Frees it and its work. */
void work_end_by_poll(struct work *work, struct job *job, int fd);

/* Run child(work) in the child of a fork; the child then has 60 seconds. Ends the test unless it returns, or
 * leaves by _exit(WORK_CHILD_DONE), which spares the child a look for leaks. */
#define WORK_CHILD_DONE 7
void work_in_child(void (*child)(struct work *work), struct work *work);

#endif
