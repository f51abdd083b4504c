/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test stands on: CHECK() says what was wrong and where, and ends the program; test_begin() ends
 * it if it hangs. A test tells by its exit code.
 */
#ifndef ERSATZ_TESTS_CHECK_H
#define ERSATZ_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* For what must not be reached. */
#define FAIL(what)                                                                                           \
    do {                                                                                                     \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);                                            \
        abort();                                                                                             \
    } while (0)

/* Ends a test that cannot run here, because the machine lacks what it tests. meson counts it as skipped. */
#define SKIP(why)                                                                                            \
    do {                                                                                                     \
        printf("skipped: %s\n", why);                                                                        \
        exit(77);                                                                                            \
    } while (0)

/* For numbers: shows both. */
#define CHECK_EQ(got, wanted)                                                                                \
    do {                                                                                                     \
        long long check_got = (long long)(got), check_wanted = (long long)(wanted);                          \
        if (check_got != check_wanted) {                                                                     \
            fprintf(stderr, "%s:%d: %s is %lld, wanted %s = %lld\n", __FILE__, __LINE__, #got, check_got,    \
                #wanted, check_wanted);                                                                      \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* So many times the seconds as TIMEOUT_MULTIPLIER in the environment says, as scripts/test does for meson. */
static inline unsigned test_seconds(unsigned seconds)
{
    const char *text = getenv("TIMEOUT_MULTIPLIER");
    double multiplier = text == NULL ? 1 : atof(text);

    return multiplier > 1 ? (unsigned)(seconds * multiplier) : seconds;
}

/* Ends the test by a signal if it takes longer: a hang is a failure. */
static inline void test_begin(unsigned seconds)
{
    alarm(test_seconds(seconds));
}

#endif
