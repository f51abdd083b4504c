/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, threads and memory of this process. */
#include "counts.h"

#include "memory.h"
#include "proc.h"

struct counts counts_take(void)
{
    long lost = memory_lost(), all = memory_live_all();

    return (struct counts){
        .descriptors = count_descriptors(),
        .threads = count_threads(),
        .blocks = memory_live() - lost,
        .all_blocks = all < 0 ? -1 : all - lost - memory_held(),
    };
}
