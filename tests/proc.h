/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has, counted in /proc: before and after must be equal. */
#ifndef ERSATZ_TESTS_PROC_H
#define ERSATZ_TESTS_PROC_H

#include <dirent.h>

#include "check.h"

/* Not inlined: in a function that calls sigsetjmp(3), gcc 15 warns of `count`. */
__attribute__((noinline, unused)) static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* The one that looks is among them. */
static inline int count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

static inline int count_threads(void)
{
    return count_entries("/proc/self/task");
}

/* A thread that was joined is counted until the kernel has taken it apart. One that stays hangs the test. */
static inline void expect_threads(int count)
{
    while (count_threads() != count)
        usleep(100);
}

#endif
