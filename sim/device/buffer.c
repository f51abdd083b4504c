/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer of a request: kept from one request to the next, and cleansed in between. */
#include "buffer.h"

#include <openssl/crypto.h>
#include <sched.h>
#include <stdlib.h>

#include "device.h"
#include "kernels/rsa_key.h"

/*
 * Buffers up to this stay with their request for the next one, while those of an instance's idle requests are
 * not more than its part of that, or the least; else they are given back. Buffers in use do not count: if a
 * program has more than that in flight, the next request would need again what this one gives back, and
 * malloc() would take and return it each time. What is no larger than the request itself stays in any case:
 * to count it would take longer than to copy it.
 */
#define BUFFER_KEPT_ANYWAY ((size_t)512)
#define BUFFER_KEPT_MAX ((size_t)128 * 1024)
#define BUFFERS_KEPT_MAX ((size_t)16 * 1024 * 1024)
#define BUFFERS_KEPT_LEAST ((size_t)1024 * 1024)
#define BUFFER_ALIGNMENT ((size_t)64) /* a cache line, and the widest vector */

/*
 * No buffer keeps a secret for long. To cleanse one means to fetch it from the worker's core, which costs a
 * busy card a tenth of its throughput, and the next request overwrites it anyway. So it is left as it is
 * while a worker is awake, and the worker cleanses what is left before it goes to sleep: pool_cleanse(). What
 * is short is not worth the trouble.
 */
#define CLEANSED_AT_ONCE 1024u

static _Atomic size_t *idle_bytes(const struct ersatz_request *request)
{
    return &pool_list_of(&request->device->pool, request)->idle_bytes;
}

/* Count the buffer as idle, if it may stay. Relaxed: the sum is only compared with a limit. */
static bool keep(struct ersatz_request *request)
{
    size_t size = request->buffer_size, part, before;

    if (size <= BUFFER_KEPT_ANYWAY || size > BUFFER_KEPT_MAX)
        return size <= BUFFER_KEPT_ANYWAY;
    part = BUFFERS_KEPT_MAX / request->device->pool.list_count;
    before = atomic_fetch_add_explicit(idle_bytes(request), size, memory_order_relaxed);
    if (before + size <= (part > BUFFERS_KEPT_LEAST ? part : BUFFERS_KEPT_LEAST))
        return true;
    atomic_fetch_sub_explicit(idle_bytes(request), size, memory_order_relaxed);
    return false;
}

static void cleanse(struct ersatz_request *request)
{
    OPENSSL_cleanse(request->buffer, request->buffer_secret);
    request->buffer_secret = 0;
}

void buffer_cleanse(struct ersatz_request *request)
{
    uint8_t state = BUFFER_LEFT;

    /* The look is sequentially consistent: a thread that found `left` set did not write it, so nothing but
     * the order of this load after the exchange in pool_cleanse() lets the worker see what that thread left.
     * Acquire and release: pairs with the thread that left it, and with the one that takes it next. */
    if (atomic_load(&request->buffer_state) != BUFFER_LEFT ||
        !atomic_compare_exchange_strong_explicit(&request->buffer_state, &state, BUFFER_BEING_CLEANSED,
            memory_order_acquire, memory_order_relaxed))
        return;
    cleanse(request);
    atomic_store_explicit(&request->buffer_state, BUFFER_OWNED, memory_order_release);
}

void buffer_take(struct ersatz_request *request)
{
    uint8_t state = atomic_load_explicit(&request->buffer_state, memory_order_acquire);

    while (state != BUFFER_OWNED && (state == BUFFER_BEING_CLEANSED ||
                                        !atomic_compare_exchange_weak_explicit(&request->buffer_state, &state,
                                            BUFFER_OWNED, memory_order_acquire, memory_order_acquire))) {
        sched_yield(); /* some microseconds at the most */
        state = atomic_load_explicit(&request->buffer_state, memory_order_acquire);
    }
    if (request->buffer_size > BUFFER_KEPT_ANYWAY)
        atomic_fetch_sub_explicit(idle_bytes(request), request->buffer_size, memory_order_relaxed);
}

/* How much of the buffer may be secret now: what is known to have become ciphertext is not, but an earlier
 * text may have been longer. */
static void note_secret(struct ersatz_request *request)
{
    size_t len = request->direct                     ? 0 /* the text was never in the buffer */
                 : request->op.kind == ERSATZ_CIPHER ? request->op.u.cipher.len
                                                     : ersatz_rsa_key_size(request->op.u.rsa.key);
    bool is_secret = !request->leaves_ciphertext || request->result != ERSATZ_OK;

    if (len >= request->buffer_secret)
        request->buffer_secret = is_secret ? len : 0;
}

void buffer_leave(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    note_secret(request);
    if (!keep(request)) {
        buffer_drop(request);
    } else if (request->buffer_secret <= CLEANSED_AT_ONCE) {
        cleanse(request);
    } else {
        atomic_store(&request->buffer_state, BUFFER_LEFT);
        if (!atomic_load(&device->pool.left))
            atomic_store(&device->pool.left, true);
        /* All of this is sequentially consistent: a worker sets its bit of `sleepers`, then looks at
         * `left`. */
        if (device_is_asleep(device))
            buffer_cleanse(request);
    }
}

void buffer_drop(struct ersatz_request *request)
{
    if (request->buffer == NULL)
        return;
    cleanse(request);
    free(request->buffer);
    request->buffer = NULL;
    request->buffer_size = 0;
}

bool buffer_reserve(struct ersatz_request *request, size_t size)
{
    size_t rounded = (size + BUFFER_ALIGNMENT - 1) & ~(BUFFER_ALIGNMENT - 1);

    if (size <= request->buffer_size)
        return true;
    buffer_drop(request);
    request->buffer = aligned_alloc(BUFFER_ALIGNMENT, rounded);
    if (request->buffer == NULL)
        return false;
    request->buffer_size = rounded;
    return true;
}
