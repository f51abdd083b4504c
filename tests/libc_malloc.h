/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator behind functions of ours with the names of malloc(3) and its siblings: glibc's own, under the
 * names it gives them for this. */
#ifndef TESTS_LIBC_MALLOC_H
#define TESTS_LIBC_MALLOC_H

#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);

#endif
