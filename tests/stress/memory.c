/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto's allocator: counts, keeps what is freed, and looks whether somebody wrote to it. */
#include "memory.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"
#include "sanitizer.h"

#define PATTERN 0xdb
#define HELD_BLOCKS 16384u
#define HELD_BYTES_MAX (24u << 20)
#define ACCOUNTS (4u << 20) /* a day's worth; the kernel gives pages as they are used */

struct account {
    _Atomic long blocks;
    _Atomic bool abandoned;
    struct account *next; /* among those that are free, under the lock */
};

struct block {
    size_t size;
    struct account *account;
    struct block *previous_stack, *next_stack; /* of fibre stacks, under the lock */
    bool is_stack;
    _Alignas(16) unsigned char bytes[];
};

static struct {
    pthread_mutex_t lock;
    struct block *held[HELD_BLOCKS]; /* freed, first in first out */
    unsigned head, count;
    size_t bytes;
    struct block *stacks;
    struct account *accounts; /* all that ever were, ACCOUNTS of them at the most */
    size_t account_count;
    struct account *free_accounts;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic long live;
static _Thread_local struct account *current;

static struct block *block_of(void *pointer)
{
    return (struct block *)((unsigned char *)pointer - offsetof(struct block, bytes));
}

static void link_stack(struct block *block)
{
    pthread_mutex_lock(&memory.lock);
    block->previous_stack = NULL;
    block->next_stack = memory.stacks;
    if (memory.stacks != NULL)
        memory.stacks->previous_stack = block;
    memory.stacks = block;
    pthread_mutex_unlock(&memory.lock);
}

/* Under the lock. */
static void unlink_stack(struct block *block)
{
    if (block->previous_stack != NULL)
        block->previous_stack->next_stack = block->next_stack;
    else
        memory.stacks = block->next_stack;
    if (block->next_stack != NULL)
        block->next_stack->previous_stack = block->previous_stack;
}

static void *allocate(size_t size, const char *file, int line)
{
    struct block *block = malloc(sizeof(*block) + size);

    (void)line;
    if (block == NULL)
        return NULL;
    block->size = size;
    block->account = current;
    /* A fibre's stack, by where libcrypto allocates it. */
    block->is_stack = file != NULL && strstr(file, "async_posix.c") != NULL;
    if (block->is_stack)
        link_stack(block);
    if (block->account != NULL)
        atomic_fetch_add(&block->account->blocks, 1);
    atomic_fetch_add(&live, 1);
    return block->bytes;
}

static void expect_pattern(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++) {
        if (block->bytes[i] != PATTERN) {
            fprintf(stderr, "freed memory was written to: byte %zu of a block of %zu\n", i, block->size);
            FAIL("written after it was freed");
        }
    }
}

#ifdef SANITIZER_ALLOCATES
/* The sanitizer keeps freed memory away itself, and sees reads too. */
static void hold(struct block *block)
{
    free(block);
}
#else
static void hold(struct block *block)
{
    struct block *out[8];
    unsigned outs = 0;

    memset(block->bytes, PATTERN, block->size);
    pthread_mutex_lock(&memory.lock);
    while (outs < 8 && (memory.count == HELD_BLOCKS ||
                           (memory.count > 0 && memory.bytes + block->size > HELD_BYTES_MAX))) {
        out[outs] = memory.held[memory.head];
        memory.head = (memory.head + 1) % HELD_BLOCKS;
        memory.count--;
        memory.bytes -= out[outs++]->size;
    }
    memory.held[(memory.head + memory.count++) % HELD_BLOCKS] = block;
    memory.bytes += block->size;
    pthread_mutex_unlock(&memory.lock);
    for (unsigned i = 0; i < outs; i++) {
        expect_pattern(out[i]);
        free(out[i]);
    }
}
#endif

static void give_back(void *pointer, const char *file, int line)
{
    struct block *block;

    (void)file;
    (void)line;
    if (pointer == NULL)
        return;
    block = block_of(pointer);
    if (block->is_stack) {
        pthread_mutex_lock(&memory.lock);
        unlink_stack(block);
        pthread_mutex_unlock(&memory.lock);
    }
    if (block->account != NULL)
        atomic_fetch_sub(&block->account->blocks, 1);
    atomic_fetch_sub(&live, 1);
    hold(block);
}

static void *change_size(void *pointer, size_t size, const char *file, int line)
{
    void *other;

    if (pointer == NULL)
        return allocate(size, file, line);
    other = allocate(size, file, line);
    if (other == NULL)
        return NULL;
    memcpy(other, pointer, block_of(pointer)->size < size ? block_of(pointer)->size : size);
    give_back(pointer, file, line);
    return other;
}

static void before_fork(void)
{
    pthread_mutex_lock(&memory.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&memory.lock);
}

/* As an allocator must, it takes part in forks: another thread may have its lock at that moment. Registered
 * before the engine, it is asked for the lock last and gives it back first. */
void memory_begin(void)
{
    CHECK_EQ(pthread_atfork(before_fork, after_fork, after_fork), 0);
    memory.accounts = mmap(NULL, ACCOUNTS * sizeof(*memory.accounts), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory.accounts != MAP_FAILED);
    CHECK(CRYPTO_set_mem_functions(allocate, change_size, give_back));
}

void memory_check(void)
{
    pthread_mutex_lock(&memory.lock);
    for (unsigned i = 0; i < memory.count; i++)
        expect_pattern(memory.held[(memory.head + i) % HELD_BLOCKS]);
    pthread_mutex_unlock(&memory.lock);
}

long memory_held(void)
{
    long held;

    pthread_mutex_lock(&memory.lock);
    held = memory.count;
    pthread_mutex_unlock(&memory.lock);
    return held;
}

long memory_live(void)
{
    return atomic_load(&live);
}

/* ----------------------------------------------------------------------------------------- lost with jobs */

struct account *account_new(void)
{
    struct account *account;

    pthread_mutex_lock(&memory.lock);
    account = memory.free_accounts;
    if (account != NULL) {
        memory.free_accounts = account->next;
    } else {
        CHECK(memory.account_count < ACCOUNTS);
        account = &memory.accounts[memory.account_count++];
    }
    pthread_mutex_unlock(&memory.lock);
    return account;
}

void account_close(struct account *account)
{
    if (atomic_load(&account->blocks) != 0)
        return; /* of a cache, say: they refer to it */
    pthread_mutex_lock(&memory.lock);
    account->next = memory.free_accounts;
    memory.free_accounts = account;
    pthread_mutex_unlock(&memory.lock);
}

struct account *account_use(struct account *account)
{
    struct account *before = current;

    current = account;
    return before;
}

static struct block *stack_around(const void *at)
{
    for (struct block *block = memory.stacks; block != NULL; block = block->next_stack) {
        if ((uintptr_t)at - (uintptr_t)block->bytes < block->size)
            return block;
    }
    return NULL;
}

void account_abandon(struct account *account, const void *at, void *job)
{
    struct block *stack;

    pthread_mutex_lock(&memory.lock);
    stack = stack_around(at);
    pthread_mutex_unlock(&memory.lock);
    CHECK(stack != NULL);
    give_back(stack->bytes, NULL, 0);
    give_back(job, NULL, 0);
    atomic_store(&account->abandoned, true);
}

long memory_lost(void)
{
    long lost = 0;

    pthread_mutex_lock(&memory.lock);
    for (size_t i = 0; i < memory.account_count; i++) {
        if (atomic_load(&memory.accounts[i].abandoned))
            lost += atomic_load(&memory.accounts[i].blocks);
    }
    pthread_mutex_unlock(&memory.lock);
    return lost;
}
