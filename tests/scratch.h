/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own, for files with fixed names: the same test may run twice at a time, with faults
 * say. */
#ifndef ERSATZ_TESTS_SCRATCH_H
#define ERSATZ_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static char scratch_directory[4096];

/* Make it. */
static inline void scratch_make(void)
{
    const char *above = getenv("TMPDIR");

    snprintf(scratch_directory, sizeof(scratch_directory), "%s/ersatz-test-XXXXXX",
        above != NULL ? above : "/tmp");
    CHECK(mkdtemp(scratch_directory) != NULL);
}

/* Make it, and work in it from now on. */
static inline void scratch_enter(void)
{
    scratch_make();
    CHECK_EQ(chdir(scratch_directory), 0);
}

/* Remove the files in it, but no hidden ones: such a file is one that was left half-made. */
static inline void scratch_clear(void)
{
    DIR *directory = opendir(scratch_directory);

    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.')
            CHECK_EQ(unlinkat(dirfd(directory), entry->d_name, 0), 0);
    }
    closedir(directory);
}

/* Remove it. It must be empty. */
static inline void scratch_remove(void)
{
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(rmdir(scratch_directory), 0);
}

/* Remove it, with the files in it. */
static inline void scratch_leave(void)
{
    scratch_clear();
    scratch_remove();
}

#endif
