/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells ThreadSanitizer about an order that it cannot see: one thread submits a completion to an io_uring,
 * and another takes it off. The barriers of the ring order the two. Without the sanitizer these do nothing.
 */
#ifndef ERSATZ_SIM_BASE_KERNEL_ORDER_H
#define ERSATZ_SIM_BASE_KERNEL_ORDER_H

#include "ersatz/sanitizer.h"

#ifdef ERSATZ_THREAD_SANITIZER
void __tsan_release(void *address);
void __tsan_acquire(void *address);
#endif

/* Before the submission: passes on what this thread wrote to the object at the address. */
static inline void kernel_order_give(void *address)
{
    (void)address;
#ifdef ERSATZ_THREAD_SANITIZER
    __tsan_release(address);
#endif
}

/* After the completion was taken: what was written there is visible. */
static inline void kernel_order_take(void *address)
{
    (void)address;
#ifdef ERSATZ_THREAD_SANITIZER
    __tsan_acquire(address);
#endif
}

#endif
