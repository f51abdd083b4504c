/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer of a request, to which its inputs are copied. It stays with the request in the pool. */
#ifndef ERSATZ_SIM_DEVICE_BUFFER_H
#define ERSATZ_SIM_DEVICE_BUFFER_H

#include "request.h"

/* Before the buffer of a request from the pool is used: wait until it is not being cleansed. */
void buffer_take(struct ersatz_request *request);

/* Make it at least that large. What was in it may be gone. False: out of memory; there is no buffer then. */
bool buffer_reserve(struct ersatz_request *request, size_t size);

/* Before the request returns to the pool: cleanse the buffer, leave it for buffer_cleanse(), or free it. */
void buffer_leave(struct ersatz_request *request);

/* Cleanse the buffer of a request in the pool, if it was left uncleansed. Any thread. */
void buffer_cleanse(struct ersatz_request *request);

/* Cleanse and free it. */
void buffer_drop(struct ersatz_request *request);

#endif
