/*
 * What the kernel orders and ThreadSanitizer cannot see: a completion that one thread submits to an io_uring
 * and another takes from it. The ring's own barriers order the two; these only tell the tool, and are nothing
 * without it.
 */
#ifndef ERSATZ_SIM_BASE_KERNEL_ORDER_H
#define ERSATZ_SIM_BASE_KERNEL_ORDER_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ERSATZ_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define ERSATZ_THREAD_SANITIZER
#endif

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
