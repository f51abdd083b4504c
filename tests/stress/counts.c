/* Descriptors, threads and memory of this process. */
#include "counts.h"

#include <dirent.h>

#include "check.h"
#include "memory.h"

static long entries(const char *path)
{
    DIR *directory = opendir(path);
    long number = 0;

    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        number++;
    closedir(directory);
    return number;
}

struct counts counts_take(void)
{
    long lost = memory_lost(), all = memory_live_all();

    return (struct counts){
        .descriptors = entries("/proc/self/fd"),
        .threads = entries("/proc/self/task"),
        .blocks = memory_live() - lost,
        .all_blocks = all < 0 ? -1 : all - lost - memory_held(),
    };
}
