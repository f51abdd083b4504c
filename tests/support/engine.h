/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the engine under test, for real, and reads what the card says it did. */
#ifndef ERSATZ_TESTS_ENGINE_H
#define ERSATZ_TESTS_ENGINE_H

#include <openssl/async.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* The module named by ERSATZ_MODULE, loaded through `dynamic` and initialised after the commands (NAME or
 * NAME:VALUE, separated by semicolons; may be NULL). Anything that fails ends the test. */
ENGINE *engine_load(const char *commands);

/* As above, but NULL if it does not load or initialise; errors are left on the queue. */
ENGINE *engine_try(const char *commands);

/* Give both references back. */
void engine_unload(ENGINE *engine);

/* Run one command; ends the test if it fails. */
void engine_command(ENGINE *engine, const char *name, const char *value);

/* Whether the command is refused with an error whose text has `text` in it. Clears the queue. */
bool engine_refuses(ENGINE *engine, const char *name, const char *value, const char *text);

/* A counter of the statistics, by name ("completed", "rsa_priv", ...). */
long engine_count(ENGINE *engine, const char *name);

/* Whether there is such a counter: those of kernels that are not in use are left out. */
bool engine_has_count(ENGINE *engine, const char *name);

/* Waits until a counter has reached a value: the card is another thread. */
void engine_wait_for(ENGINE *engine, const char *name, long value);

/* Whether the oldest or newest errors on the queue speak of `text`. Clears the queue. */
bool error_speaks_of(const char *text);

/* All thresholds 0: every size goes to the card. */
#define ALL_SIZES_OF(mode) "AES-128-" mode ":0,AES-192-" mode ":0,AES-256-" mode ":0,"
#define ALL_SIZES                                                                                            \
    "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:" ALL_SIZES_OF("CBC") ALL_SIZES_OF("CTR") ALL_SIZES_OF("GCM") \
        ALL_SIZES_OF("ECB") ALL_SIZES_OF("CFB") ALL_SIZES_OF("OFB")                                          \
            ALL_SIZES_OF("CCM") "AES-128-XTS:0,AES-256-XTS:0"

/* A key of 2048 bits that stays the same for the process, with the engine's method (explicit) or libcrypto's
 * (NULL). */
RSA *test_rsa(ENGINE *engine);

/* -------------------------------------------------------------------------------------------------------
 * jobs */

/* How a job is told. */
enum told_by { BY_FD, BY_CALLBACK };

struct job {
    enum told_by told_by;
    int (*work)(void *);
    void *arg;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *context;
    int status; /* what ASYNC_start_job said last */
    int result; /* of work, when finished */
    _Atomic int callbacks;
    sem_t told; /* posted by each callback */
};

/* A wait context, with the harness' counting callback if BY_CALLBACK. */
void job_init(struct job *job, enum told_by told_by, int (*work)(void *), void *arg);
void job_free(struct job *job);

/* Start or resume. Returns the status; NO_JOBS and ERR end the test. */
int job_run(struct job *job);

/* The job's one descriptor; ends the test if there is not exactly one. */
int job_fd(struct job *job);

/* Whether it is readable now. */
bool fd_is_readable(int fd);

/* Wait to be told, as a proper application does, then resume; until finished. Returns work's result. */
int job_finish(struct job *job);

#endif
