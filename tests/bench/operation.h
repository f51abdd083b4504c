/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that are measured, through plain libcrypto as any application uses it: an RSA signature or
 * its verification, or one message encrypted or decrypted with AES. */
#ifndef ERSATZ_TESTS_OPERATION_H
#define ERSATZ_TESTS_OPERATION_H

#include <stdbool.h>

/* What one job needs for itself. */
struct operation;

/* NAME: rsa2048-sign, rsa2048-verify (any length of which ERSATZ_TEST_KEYS has a key), or a cipher with the
 * length of a message: aes-128-cbc:16384, aes-128-cbc-decrypt:16384. Ends the program if there is no such
 * thing. Whether the engine does it is decided by what is the default at this moment. */
struct operation *operation_new(const char *name);
void operation_free(struct operation *operation);

/* Once. Ends the program if it fails, or if a verification says no. */
void operation_do(struct operation *operation);

#endif
