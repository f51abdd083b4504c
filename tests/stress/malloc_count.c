/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the blocks that malloc(3) has given out and not got back, for every module of the process. A
 * sanitizer brings an allocator of its own and finds leaks itself. */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libc_malloc.h"
#include "memory.h"
#include "sanitizer.h"

#ifdef SANITIZER_ALLOCATES

long memory_live_all(void)
{
    return -1;
}

#else

static _Atomic long blocks;

static void *counted(void *pointer)
{
    if (pointer != NULL)
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return pointer;
}

#pragma GCC visibility push(default)

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return counted(__libc_calloc(count, size));
}

void *realloc(void *pointer, size_t size)
{
    void *other = __libc_realloc(pointer, size);

    return pointer == NULL ? counted(other) : other;
}

void *memalign(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **pointer, size_t alignment, size_t size)
{
    *pointer = counted(__libc_memalign(alignment, size));
    return *pointer == NULL ? ENOMEM : 0;
}

void free(void *pointer)
{
    if (pointer == NULL)
        return;
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    __libc_free(pointer);
}

#pragma GCC visibility pop

long memory_live_all(void)
{
    return atomic_load(&blocks);
}

#endif
