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

/* Make it, and work in it from now on. */
static inline void scratch_enter(void)
{
    const char *above = getenv("TMPDIR");

    snprintf(scratch_directory, sizeof(scratch_directory), "%s/ersatz-test-XXXXXX",
        above != NULL ? above : "/tmp");
    CHECK(mkdtemp(scratch_directory) != NULL);
    CHECK_EQ(chdir(scratch_directory), 0);
}

/* Remove it, with the files in it. */
static inline void scratch_leave(void)
{
    DIR *directory = opendir(".");

    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            CHECK_EQ(unlink(entry->d_name), 0);
    }
    closedir(directory);
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(rmdir(scratch_directory), 0);
}

#endif
