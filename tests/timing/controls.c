/* SPDX-License-Identifier: Apache-2.0 */
/* See timing.h. */
#include <openssl/rand.h>

#include "check.h"
#include "timing.h"

#define BYTES 512

static unsigned char secret[BYTES];

__attribute__((noinline)) static int leaky_compare(const volatile unsigned char *a, const unsigned char *b)
{
    for (unsigned i = 0; i < BYTES; i++) {
        if (a[i] != b[i])
            return 1;
    }
    return 0;
}

static void make_wrong_at(unsigned char *guess, unsigned position)
{
    memcpy(guess, secret, BYTES);
    guess[position] ^= 1;
}

static void make_wrong_late(void *guess, unsigned class)
{
    (void)class;
    make_wrong_at(guess, BYTES - 1);
}

static void make_wrong_early_or_late(void *guess, unsigned class)
{
    make_wrong_at(guess, class == 0 ? BYTES / 2 : BYTES - 1);
}

static uint64_t time_compare(const void *guess)
{
    uint64_t begin = meter_now(), ticks;
    int differs = leaky_compare(guess, secret);

    ticks = meter_now() - begin;
    CHECK_EQ(differs, 1);
    return ticks;
}

bool measure_controls(double seconds)
{
    static const struct trial nothing = {.name = "control: nothing to find",
        .classes = {"same", "same"},
        .input_size = BYTES,
        .make = make_wrong_late,
        .time = time_compare};
    static const struct trial leak = {.name = "control: a leak",
        .classes = {"wrong early", "wrong late"},
        .input_size = BYTES,
        .make = make_wrong_early_or_late,
        .time = time_compare};
    bool silent, found;

    CHECK_EQ(RAND_bytes(secret, BYTES), 1);
    silent = meter_run(&nothing, seconds) < 4.5;
    found = meter_run(&leak, seconds) > 10;
    return silent && found;
}
