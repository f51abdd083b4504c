/* SPDX-License-Identifier: Apache-2.0 */
/* See ahead.h. */
#include "ahead.h"

#include "device.h"

static void put(const void *_Atomic *hint, const void *value)
{
    atomic_store_explicit(hint, value, memory_order_relaxed);
}

static const char *get(const void *const _Atomic *hint)
{
    return atomic_load_explicit(hint, memory_order_relaxed);
}

void ahead_note(struct ersatz_request *request)
{
    struct pool_list *list = pool_list_of(&request->device->pool, request);
    /* Not by an exchange: if two threads take the same one for the last, one note is lost. */
    struct ersatz_request *last = atomic_load_explicit(&list->last, memory_order_relaxed);

    atomic_store_explicit(&list->last, request, memory_order_relaxed);
    if (last == NULL)
        return;
    put(&last->after.request, request);
    put(&last->after.waker, request->waker);
    put(&last->after.buffer, request->buffer);
    put(&last->after.cipher, request->op.kind == ERSATZ_CIPHER ? request->op.u.cipher.cipher : NULL);
}

void ahead_fetch(const struct ersatz_request *request)
{
    const char *next = get(&request->after.request), *buffer = get(&request->after.buffer);

    if (next == NULL)
        return;
    __builtin_prefetch(next);
    __builtin_prefetch(next + AHEAD_LINE);
    __builtin_prefetch(next + offsetof(struct ersatz_request, caller_out));
    __builtin_prefetch(next + offsetof(struct ersatz_request, after));
    __builtin_prefetch(get(&request->after.waker));
    __builtin_prefetch(get(&request->after.cipher));
    for (unsigned i = 0; i < AHEAD_BUFFER; i++)
        __builtin_prefetch(buffer + i * AHEAD_LINE);
}
