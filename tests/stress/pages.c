/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of operations, in pages that can be taken away from under whoever still reads them. */
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"
#include "memory.h"

#define SPOILED_MAX 4096u /* each takes two of the kernel's mappings, of which there are 65,530 */

static struct {
    pthread_mutex_t lock;
    struct pages list[SPOILED_MAX];
    unsigned next, count;
} spoiled = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size)
{
    return (size + page() - 1) / page() * page();
}

struct pages pages_new(size_t in_len, size_t out_len)
{
    size_t in_size = whole_pages(in_len), out_size = whole_pages(out_len);
    struct pages pages = {.size = in_size + out_size + 2 * page()};

    pages.memory = mmap(NULL, pages.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages.memory != MAP_FAILED);
    CHECK_EQ(mprotect(pages.memory, in_size, PROT_READ | PROT_WRITE), 0);
    CHECK_EQ(mprotect(pages.memory + in_size + page(), out_size, PROT_READ | PROT_WRITE), 0);
    pages.in = pages.memory + in_size - in_len;
    pages.out = pages.memory + in_size + page() + out_size - out_len;
    return pages;
}

void pages_free(struct pages *pages)
{
    if (pages->memory != NULL)
        CHECK_EQ(munmap(pages->memory, pages->size), 0);
    *pages = (struct pages){0};
}

void pages_spoil(struct pages *pages)
{
    struct pages oldest = {0};

    /* New pages in their place: the memory goes back at once. */
    CHECK(mmap(pages->memory, pages->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          pages->memory);
    pthread_mutex_lock(&spoiled.lock);
    if (spoiled.count == SPOILED_MAX)
        oldest = spoiled.list[spoiled.next];
    else
        spoiled.count++;
    spoiled.list[spoiled.next] = *pages;
    spoiled.next = (spoiled.next + 1) % SPOILED_MAX;
    pthread_mutex_unlock(&spoiled.lock);
    pages_free(&oldest);
    *pages = (struct pages){0};
}

void pages_forget_spoiled(void)
{
    for (unsigned i = 0; i < spoiled.count; i++)
        pages_free(&spoiled.list[i]);
    spoiled.count = spoiled.next = 0;
}
