/* SPDX-License-Identifier: Apache-2.0 */
/* Operations for jobs to do, each with its right result at hand. */
#ifndef ERSATZ_TESTS_WORK_H
#define ERSATZ_TESTS_WORK_H

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdbool.h>

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

#endif
