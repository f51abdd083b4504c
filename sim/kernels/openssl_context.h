/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library context of libcrypto that belongs to the device: it has the default provider, whatever the
 * application loads or configures in its own context, and a random generator for the workers.
 */
#ifndef ERSATZ_SIM_KERNELS_OPENSSL_CONTEXT_H
#define ERSATZ_SIM_KERNELS_OPENSSL_CONTEXT_H

#include <openssl/provider.h>

/* The provider in this context, which is made on first use and stays until the process ends, since cipher
 * states may outlive any device. NULL: it could not be made. */
OSSL_PROVIDER *library_context_provider(void);

/* Let the calling thread, a worker, use the device's context and generator from now on. */
void library_context_adopt(void);

/* The same for a thread of the application, while it works for the device. Returns the context that the
 * thread used before, for library_context_leave(). */
OSSL_LIB_CTX *library_context_enter(void);
void library_context_leave(OSSL_LIB_CTX *before);

/* Give a worker libcrypto's default context again: it is about to run code of the application. */
void library_context_disown(void);

#endif
