/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary user's limit on locked memory: root may lock what he likes. */
#ifndef ERSATZ_TESTS_ORDINARY_USER_H
#define ERSATZ_TESTS_ORDINARY_USER_H

#include <grp.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "check.h"

/* If this is root, become a user of this process's own: what other processes of a user lock is counted, too.
 * False: this is an ordinary user already. */
static inline bool become_user(void)
{
    unsigned user = 20000 + (unsigned)getpid() % 40000;

    if (geteuid() != 0)
        return false;
    CHECK(setgroups(0, NULL) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
    return true;
}

static inline void limit_locked_memory(rlim_t bytes)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

#endif
