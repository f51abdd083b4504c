/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cipher states in pairs: one keyed for libcrypto alone, one for all kernels there are; and texts made up
 * from a seed. What the one gives, the other must.
 */
#ifndef ERSATZ_TESTS_PAIRS_H
#define ERSATZ_TESTS_PAIRS_H

#include "check.h"
#include "ersatz/device.h"

#define PAIR_TEXT_MAX 20000u

struct pair {
    enum ersatz_mode mode;
    bool encrypt;
    struct ersatz_cipher *portable, *fast;
};

/* What the calling core computed, by kernel. */
extern struct ersatz_stats pair_stats;

/* The seed is fixed: a failure can be repeated. */
uint32_t pair_random(uint32_t below);
void pair_random_bytes(uint8_t *out, size_t len);

struct pair pair_new(enum ersatz_mode mode, unsigned bits, bool encrypt);
void pair_free(struct pair *pair);

/* op by both states, in place if that is asked for: the same result, text and tag. Returns the result.
 * op->out is where the text goes; of op->tag, an encryption fills in what came out. */
enum ersatz_result pair_compute(struct pair *pair, struct ersatz_op op, bool in_place);

/* How many operations the calling core did by other code than libcrypto's. */
uint64_t pair_fast_count(void);

/* "aes" or "vaes": our own code for these instructions. "sse", "avx", "avx2" or "avx512": the library's code
 * for it, and our own without VAES. Ends the test as skipped if this processor does not run it. */
void pair_use_code(const char *name);

#endif
