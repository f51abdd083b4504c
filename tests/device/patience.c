/* SPDX-License-Identifier: Apache-2.0 */
/* A busy machine gives each test more time: TIMEOUT_MULTIPLIER. */
#include "check.h"

static unsigned seconds_left(const char *multiplier)
{
    CHECK_EQ(
        multiplier == NULL ? unsetenv("TIMEOUT_MULTIPLIER") : setenv("TIMEOUT_MULTIPLIER", multiplier, 1), 0);
    test_begin(60);
    return alarm(0);
}

int main(void)
{
    CHECK_EQ(seconds_left(NULL), 60);
    CHECK_EQ(seconds_left("10"), 600);
    CHECK_EQ(seconds_left("2.5"), 150);
    CHECK_EQ(seconds_left("0"), 60);
    return 0;
}
