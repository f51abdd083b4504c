/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in front of malloc(3) and its siblings, for all callers, and counts the blocks of the module. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "calls_inside.h"
#include "check.h"
#include "libc_malloc.h"
#include "sanitizer.h"

#ifdef SANITIZER_ALLOCATES

long calls_blocks(void)
{
    return -1;
}

#else

/* The addresses of the module's blocks: open addressing, by a lock of its own. */
#define BLOCKS (1u << 16)
static void *blocks[BLOCKS];
static long block_count;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned slot_of(const void *pointer)
{
    return (unsigned)((uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15) >> 48) % BLOCKS;
}

static void *note(void *pointer, void *caller)
{
    if (pointer == NULL || !calls_is_module(caller))
        return pointer;
    pthread_mutex_lock(&blocks_lock);
    for (unsigned i = slot_of(pointer), tried = 0; tried < BLOCKS; tried++, i = (i + 1) % BLOCKS) {
        if (blocks[i] == NULL || blocks[i] == &blocks) {
            blocks[i] = pointer;
            block_count++;
            break;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return pointer;
}

/* Whether it was the module's. */
static bool forget(const void *pointer)
{
    bool known = false;

    pthread_mutex_lock(&blocks_lock);
    for (unsigned i = slot_of(pointer), tried = 0; tried < BLOCKS && blocks[i] != NULL;
         tried++, i = (i + 1) % BLOCKS) {
        if (blocks[i] == pointer) {
            blocks[i] = &blocks; /* was used: the search goes on past it */
            block_count--;
            known = true;
            break;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return known;
}

/* Another thread may have it at a fork. */
static void lock_blocks(void)
{
    pthread_mutex_lock(&blocks_lock);
}

static void unlock_blocks(void)
{
    pthread_mutex_unlock(&blocks_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    CHECK_EQ(pthread_atfork(lock_blocks, unlock_blocks, unlock_blocks), 0);
}

long calls_blocks(void)
{
    long count;

    pthread_mutex_lock(&blocks_lock);
    count = block_count;
    pthread_mutex_unlock(&blocks_lock);
    return count;
}

#pragma GCC visibility push(default)

void *malloc(size_t size)
{
    return calls_refuse("malloc", HERE) ? NULL : note(__libc_malloc(size), HERE);
}

void *calloc(size_t count, size_t size)
{
    return calls_refuse("calloc", HERE) ? NULL : note(__libc_calloc(count, size), HERE);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return calls_refuse("aligned_alloc", HERE) ? NULL : note(__libc_memalign(alignment, size), HERE);
}

void *realloc(void *pointer, size_t size)
{
    void *other;

    if (calls_refuse("realloc", HERE))
        return NULL;
    if (pointer == NULL)
        return note(__libc_malloc(size), HERE);
    other = __libc_realloc(pointer, size);
    if (other != NULL && other != pointer && forget(pointer))
        note(other, HERE);
    return other;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = calls_refuse("strdup", HERE) ? NULL : note(__libc_malloc(size), HERE);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

void free(void *pointer)
{
    if (pointer == NULL)
        return;
    forget(pointer);
    __libc_free(pointer);
}

#pragma GCC visibility pop

#endif
