/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that tells when it is touched by who should not.
 *
 * libcrypto and the driver allocate through here (CRYPTO_set_mem_functions): what is freed is filled with a
 * pattern and kept away for a while, and when it leaves, the pattern must still be there. The texts of
 * operations lie in pages of their own, which become unreadable when an application "frees" them.
 */
#ifndef ERSATZ_STRESS_MEMORY_H
#define ERSATZ_STRESS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Before anything of libcrypto. */
void memory_begin(void);

/* Look at every block that was freed and is still here. */
void memory_check(void);

/* Blocks of libcrypto's that are in use. */
long memory_live(void);

/* Blocks that were freed and are kept. */
long memory_held(void);

/* Blocks of malloc(3)'s that are in use, everybody's: the card's, the libraries'. -1: a sanitizer counts. */
long memory_live_all(void);

/* ----------------------------------------------------------------------------------------- lost with jobs */

/*
 * What a job has allocated is lost when it is never resumed: it stands on a stack that nobody returns to.
 * That is libcrypto's way, and the application's fault; it is no leak of the engine's. So the allocations of
 * a job are counted on an account.
 */
struct account;

struct account *account_new(void);

/* Of a job's place that is given up. Used again when no block refers to it. */
void account_close(struct account *account);

/* What the calling thread allocates from now on is on this account. NULL: on none. Returns the one before. */
struct account *account_use(struct account *account);

/* The job of the account is abandoned. at is an address on its stack: stack and job, which libcrypto would
 * lose, are freed here, so that it shows if anybody still uses them. */
void account_abandon(struct account *account, const void *at, void *job);

/* Blocks on accounts that were abandoned. */
long memory_lost(void);

/* ------------------------------------------------------------------------------------------------- pages */

/* in_len bytes, and out_len bytes, each with an unreadable page behind its end. */
struct pages {
    unsigned char *memory, *in, *out;
    size_t size;
};

struct pages pages_new(size_t in_len, size_t out_len);
void pages_free(struct pages *pages);

/* Unreadable from now on; the address range is kept for a while, so that nobody else gets it. */
void pages_spoil(struct pages *pages);

/* Give all spoiled ranges back. */
void pages_forget_spoiled(void);

#endif
