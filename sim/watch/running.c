/* SPDX-License-Identifier: Apache-2.0 */
/* See running.h. Each callback has a place in the findings, taken and given back without a lock. */
#include "running.h"

#include <string.h>

#include "callers.h"

void running_name(struct ersatz_findings *findings, uintptr_t function)
{
    struct callers callers;
    char text[ERSATZ_CALLBACK_TEXT];

    for (unsigned i = 0; i < ERSATZ_CALLBACK_NAMES; i++) {
        struct ersatz_callback_name *name = &findings->callbacks[i];
        uint64_t known = atomic_load_explicit(&name->function, memory_order_relaxed);

        if (known == function)
            return;
        /* 1 is not the address of a function: another thread writes here. */
        if (known != 0 || !atomic_compare_exchange_strong_explicit(
                              &name->function, &known, 1, memory_order_relaxed, memory_order_relaxed))
            continue;
        callers_be(&callers, function);
        callers_name(&callers, text, sizeof(text));
        text[strcspn(text, "\n")] = '\0';
        memcpy(name->text, text, sizeof(text));
        /* Release: a reader that knows the function sees its name. */
        atomic_store_explicit(&name->function, function, memory_order_release);
        return;
    }
}

struct ersatz_running_callback *running_begins(
    struct ersatz_findings *findings, const struct ersatz_running_callback *as)
{
    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++) {
        /* Threads start at places of their own, so that they seldom meet. */
        struct ersatz_running_callback *running =
            &findings->running[((unsigned)as->thread + i) % ERSATZ_CALLBACKS_SEEN];
        uint32_t free = 0;

        /* Acquire: pairs with the release of the callback that had the place before. */
        if (atomic_load_explicit(&running->taken, memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong_explicit(
                &running->taken, &free, 1, memory_order_acquire, memory_order_relaxed))
            continue;
        running->thread = as->thread;
        running->is_applications = as->is_applications;
        running->operation = as->operation;
        running->bytes = as->bytes;
        running->request = as->request;
        running->at_ns = as->at_ns;
        running->began_ns = as->began_ns;
        running->function = as->function;
        /* Release: a reader that sees it sees the rest. */
        atomic_store_explicit(&running->runs, 1, memory_order_release);
        return running;
    }
    return NULL;
}

void running_ends(struct ersatz_running_callback *running)
{
    if (running == NULL)
        return;
    atomic_store_explicit(&running->runs, 0, memory_order_relaxed);
    atomic_store_explicit(&running->taken, 0, memory_order_release);
}
