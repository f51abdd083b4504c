/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel orders and ThreadSanitizer cannot see: a completion that one thread submits to an io_uring
 * and another takes from it. The ring's own barriers order the two; these only tell the tool, and are nothing
 * without it.
 */
#ifndef ERSATZ_SIM_BASE_KERNEL_ORDER_H
#define ERSATZ_SIM_BASE_KERNEL_ORDER_H

#include "ersatz/sanitizer.h"

#ifdef ERSATZ_THREAD_SANITIZER
void __tsan_release(void *address);
void __tsan_acquire(void *address);
#endif

/* Before the submission: all that this thread did to what lies at the address. */
static inline void kernel_order_give(void *address)
{
    (void)address;
#ifdef ERSATZ_THREAD_SANITIZER
    __tsan_release(address);
#endif
}

/* After the completion was taken: it is visible here. */
static inline void kernel_order_take(void *address)
{
    (void)address;
#ifdef ERSATZ_THREAD_SANITIZER
    __tsan_acquire(address);
#endif
}

#endif
