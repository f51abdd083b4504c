/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as valgrind's memcheck sees them: memory that is not defined. */
#ifndef ERSATZ_TESTS_POISON_H
#define ERSATZ_TESTS_POISON_H

#include <openssl/bn.h>
#include <stdbool.h>
#include <stddef.h>

/* From now on a branch on these bytes, or an address from them, is an error. */
void poison(void *bytes, size_t len);
void poison_number(BIGNUM *number);

/* What follows from them may be looked at again: it is no secret. */
void declassify(void *bytes, size_t len);

bool is_poisoned(const void *bytes, size_t len);
bool is_poisoned_number(const BIGNUM *number);

/* How many errors there were so far. */
unsigned errors(void);

/* Ends the test unless memcheck sees a number made of a secret in libcrypto's usual way, which skips leading
 * zeros: without valgrind nothing here would mean anything. */
void see_a_leak(void);

#endif
