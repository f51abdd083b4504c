/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions that stand in front of others ask: see calls.h. */
#ifndef ERSATZ_FAULTS_CALLS_INSIDE_H
#define ERSATZ_FAULTS_CALLS_INSIDE_H

#include <stdbool.h>

#define HERE __builtin_return_address(0)

/* Whether code at this address is the module's. */
bool calls_is_module(const void *address);

/* Whether this call is to fail, by its caller; errno or OpenSSL's queue says it then. */
bool calls_refuse(const char *function, const void *caller);

/* The error of the calls that fail: errno, or -1. */
int calls_error(void);

/* The function that stands behind ours: in a library of the module's, or before that is loaded, of this
 * program's. */
void *calls_behind(const char *name);

#endif
