/* SPDX-License-Identifier: Apache-2.0 */
/* See timing.h. */
#include <math.h>
#include <openssl/rand.h>

#include "check.h"
#include "timing.h"

#define BYTES 512

__attribute__((noinline)) static int leaky_compare(const volatile unsigned char *a, const unsigned char *b)
{
    for (unsigned i = 0; i < BYTES; i++) {
        if (a[i] != b[i])
            return 1;
    }
    return 0;
}

static double measure(const char *name, bool leaks, double seconds)
{
    static unsigned char secret[BYTES], guess[BYTES];
    struct meter meter;
    int class, kept = 0;

    CHECK_EQ(RAND_bytes(secret, BYTES), 1);
    meter_begin(&meter, name, leaks ? "wrong early" : "same", leaks ? "wrong late" : "same", seconds);
    while ((class = meter_next(&meter)) >= 0) {
        uint64_t begin;

        memcpy(guess, secret, BYTES);
        guess[leaks && class == 0 ? BYTES / 2 : BYTES - 1] ^= 1;
        begin = meter_now();
        kept += leaky_compare(guess, secret);
        meter_add(&meter, class, meter_now() - begin);
    }
    CHECK(kept > 0);
    meter_end(&meter);
    return fabs(meter.t);
}

bool measure_controls(double seconds)
{
    double same = measure("control: nothing to find", false, seconds);
    double leak = measure("control: a leak", true, seconds);

    return same < 4.5 && leak > 10;
}
