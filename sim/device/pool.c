/* SPDX-License-Identifier: Apache-2.0 */
/* A free list of requests, linked by index. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "ersatz/assertion.h"

static struct ersatz_request *at(struct pool *pool, uint32_t index)
{
    return &pool->chunks[index / POOL_CHUNK][index % POOL_CHUNK];
}

bool pool_init(struct pool *pool, unsigned lists)
{
    memset(pool, 0, sizeof(*pool));
    ersatz_lock_renew(&pool->grow_lock);
    pool->lists = aligned_alloc(64, lists * sizeof(*pool->lists));
    if (pool->lists == NULL)
        return false;
    memset(pool->lists, 0, lists * sizeof(*pool->lists));
    pool->list_count = lists;
    return true;
}

void pool_destroy(struct pool *pool)
{
    for (unsigned c = 0; c < atomic_load(&pool->chunk_count); c++) {
        for (unsigned i = 0; i < POOL_CHUNK; i++)
            buffer_drop(&pool->chunks[c][i]);
        free(pool->chunks[c]);
    }
    free(pool->lists);
}

static struct ersatz_request *pop(struct pool *pool, struct pool_list *list)
{
    /* Acquire: pairs with the release in pool_return(), so that chunk, link and contents are visible. */
    uint64_t head = atomic_load_explicit(&list->head, memory_order_acquire);

    while ((uint32_t)head != 0 && (uint32_t)head != POOL_CLOSED) {
        struct ersatz_request *first = at(pool, (uint32_t)head - 1);
        /* Stale if another thread took `first`; then the change count differs and the swap fails. */
        uint32_t next = atomic_load_explicit(&first->pool_next, memory_order_relaxed);
        uint64_t wanted = (((head >> 32) + 1) << 32) | next;

        if (atomic_compare_exchange_weak_explicit(
                &list->head, &head, wanted, memory_order_acquire, memory_order_acquire))
            return first;
    }
    return NULL;
}

/* Under the lock. */
static bool grow(struct pool *pool, unsigned list)
{
    unsigned count = atomic_load_explicit(&pool->chunk_count, memory_order_relaxed);
    struct ersatz_request *chunk;

    if (count == POOL_CHUNKS_MAX || pool->closed)
        return false;
    chunk = aligned_alloc(64, POOL_CHUNK * sizeof(*chunk));
    if (chunk == NULL)
        return false;
    memset(chunk, 0, POOL_CHUNK * sizeof(*chunk));
    pool->chunks[count] = chunk;
    atomic_store(&pool->chunk_count, count + 1); /* sequentially consistent: see pool_cleanse() */
    for (uint32_t i = 0; i < POOL_CHUNK; i++) {
        chunk[i].pool_index = count * POOL_CHUNK + i;
        chunk[i].pool_list = (uint16_t)list;
        pool_return(pool, &chunk[i]);
    }
    return true;
}

struct ersatz_request *pool_take(struct pool *pool, unsigned index)
{
    struct pool_list *list = &pool->lists[index];
    struct ersatz_request *request = pop(pool, list);

    while (request == NULL) {
        struct ersatz_locked locked;
        bool grown = true;

        ersatz_lock(&pool->grow_lock, &locked);
        request = pop(pool, list); /* another thread may have grown the list meanwhile */
        if (request == NULL)
            grown = grow(pool, index);
        ersatz_unlock(&locked);
        if (!grown)
            return NULL;
        if (request == NULL)
            request = pop(pool, list);
    }
    return request;
}

bool pool_return(struct pool *pool, struct ersatz_request *request)
{
    struct pool_list *list = pool_list_of(pool, request);
    /* Acquire: what the thread that closed the list did before is visible. */
    uint64_t head = atomic_load_explicit(&list->head, memory_order_acquire);
    uint64_t wanted;

    ASSERT(atomic_load_explicit(&request->references, memory_order_relaxed) == 0);
    do {
        if ((uint32_t)head == POOL_CLOSED)
            return false;
        atomic_store_explicit(&request->pool_next, (uint32_t)head, memory_order_relaxed);
        wanted = (((head >> 32) + 1) << 32) | (request->pool_index + 1);
        /* Release: publishes the link, and the chunk it lies in, to pop(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &list->head, &head, wanted, memory_order_release, memory_order_acquire));
    return true;
}

unsigned pool_size(struct pool *pool)
{
    return atomic_load(&pool->chunk_count) * POOL_CHUNK;
}

unsigned pool_close(struct pool *pool)
{
    struct ersatz_locked locked;
    unsigned idle = 0;

    ersatz_lock(&pool->grow_lock, &locked);
    pool->closed = true;
    ersatz_unlock(&locked);
    for (unsigned i = 0; i < pool->list_count; i++) {
        /* Acquire and release: pairs with both sides of pool_return(). */
        uint32_t first =
            (uint32_t)atomic_exchange_explicit(&pool->lists[i].head, POOL_CLOSED, memory_order_acq_rel);

        for (; first != 0;
             first = atomic_load_explicit(&at(pool, first - 1)->pool_next, memory_order_relaxed))
            idle++;
    }
    return idle;
}

void pool_cleanse(struct pool *pool, bool (*stop)(struct ersatz_device *), struct ersatz_device *device)
{
    unsigned size;

    if (!atomic_load(&pool->left) || !atomic_exchange(&pool->left, false))
        return;
    size = pool_size(pool); /* after the exchange: a request that was left before that is among them */
    for (unsigned i = 0; i < size; i++) {
        if (i % POOL_CHUNK == 0 && stop(device)) {
            atomic_store(&pool->left, true);
            return;
        }
        buffer_cleanse(at(pool, i));
    }
}
