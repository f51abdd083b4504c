/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request pool: hands requests out and takes them back, from any thread, without locks. It grows by
 * chunks and never shrinks, so a request's address is good for as long as the pool is.
 *
 * It has a list of free requests for each instance. A thread takes from the list of its own instance, and a
 * request goes back to the list that it came from: so threads of different instances write to different cache
 * lines, and each list is only as long as that instance had requests at a time.
 */
#ifndef ERSATZ_SIM_DEVICE_POOL_H
#define ERSATZ_SIM_DEVICE_POOL_H

#include "ersatz/undisturbed.h"

#include "request.h"

#define POOL_CHUNK 64u
#define POOL_CHUNKS_MAX 8192u /* 524,288 requests out at a time */

struct pool_list {
    /* Index of the first free request plus one (0: none; POOL_CLOSED) in the low half; the high half counts
     * changes, so that a compare-and-swap notices when the same request went and came back in between. */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic size_t idle_bytes; /* of the buffers of its idle requests together; relaxed */
};

#define POOL_CLOSED UINT32_MAX

struct pool {
    struct pool_list *lists;
    unsigned list_count;
    struct ersatz_lock grow_lock;
    bool closed;       /* under grow_lock */
    _Atomic bool left; /* a buffer may have been left uncleansed; sequentially consistent: see buffer.c */
    _Atomic unsigned chunk_count; /* written under grow_lock, after the chunk is in its place; sequentially
                                   * consistent: see pool_cleanse() */
    struct ersatz_request *chunks[POOL_CHUNKS_MAX];
};

/* False: out of memory. */
bool pool_init(struct pool *pool, unsigned lists);

/* Frees every request. None may be in use. */
void pool_destroy(struct pool *pool);

/* A request of that list. NULL: out of memory, or the pool is closed. */
struct ersatz_request *pool_take(struct pool *pool, unsigned list);

/* Once this has returned true, the pool may be gone at any time. False: the pool is closed, and the caller
 * must report that the request is not in use any more. */
bool pool_return(struct pool *pool, struct ersatz_request *request);

/* How many requests there are, in use or not. */
unsigned pool_size(struct pool *pool);

/* Close the pool. Returns how many requests were not in use. */
unsigned pool_close(struct pool *pool);

static inline struct pool_list *pool_list_of(struct pool *pool, const struct ersatz_request *request)
{
    return &pool->lists[request->pool_list];
}

/* Cleanse the buffers that were left uncleansed. Ends early when stop() returns true; the rest is done by the
 * next call. */
void pool_cleanse(struct pool *pool, bool (*stop)(struct ersatz_device *), struct ersatz_device *device);

#endif
