/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request pool: hands requests out and takes them back, from any thread, without locks. It grows by
 * chunks and never shrinks, so a request's address is good for as long as the pool is.
 */
#ifndef ERSATZ_SIM_DEVICE_POOL_H
#define ERSATZ_SIM_DEVICE_POOL_H

#include "ersatz/undisturbed.h"

#include "request.h"

#define POOL_CHUNK 64u
#define POOL_CHUNKS_MAX 1024u /* 65,536 requests out at a time */

struct pool {
    /* Index of the first free request plus one (0: none) in the low half; the high half counts changes, so
     * that a compare-and-swap notices when the same request went and came back in between. */
    _Alignas(64) _Atomic uint64_t head;
    struct ersatz_lock grow_lock;
    _Atomic bool left; /* a buffer may have been left uncleansed; sequentially consistent: see buffer.c */
    _Atomic size_t buffer_bytes;  /* of all requests' buffers together */
    _Atomic unsigned chunk_count; /* written under grow_lock; release, after the chunk is in its place */
    struct ersatz_request *chunks[POOL_CHUNKS_MAX];
};

void pool_init(struct pool *pool);

/* Frees every request. None may be in use. */
void pool_destroy(struct pool *pool);

/* NULL: out of memory. */
struct ersatz_request *pool_take(struct pool *pool);
void pool_return(struct pool *pool, struct ersatz_request *request);

/* Cleanse the buffers that were left uncleansed. Ends early when stop() returns true; the rest is done by the
 * next call. */
void pool_cleanse(struct pool *pool, bool (*stop)(struct ersatz_device *), struct ersatz_device *device);

#endif
