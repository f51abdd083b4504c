/* SPDX-License-Identifier: Apache-2.0 */
/* Computes with a profile: how long an operation takes, and whether the profile sets anything. */
#include "ersatz/profile.h"

#include <math.h>
#include <string.h>

/* The power of the key's size by which the time grows, where one size is given, or beyond the given sizes: a
 * multiplication takes the square of the size, and a private exponent is as long as the modulus. */
#define PRIVATE_POWER 3.0
#define PUBLIC_POWER 2.0

/* The power of the size by which the time grows between two given sizes. */
static double power_between(const struct ersatz_rsa_times *times, unsigned i)
{
    double longer = (double)times->size[i + 1].ns / (double)times->size[i].ns;
    double larger = (double)times->size[i + 1].bits / (double)times->size[i].bits;

    return log(longer) / log(larger);
}

static uint64_t rsa_ns(const struct ersatz_rsa_times *times, uint64_t bits, double power)
{
    unsigned i = 0;

    if (times->count == 0)
        return 0;
    while (i + 1 < times->count && times->size[i + 1].bits <= bits)
        i++;
    if (times->size[i].bits == bits)
        return times->size[i].ns;
    if (times->size[i].bits < bits && i + 1 < times->count)
        power = power_between(times, i);
    return (uint64_t)((double)times->size[i].ns * pow((double)bits / times->size[i].bits, power));
}

uint64_t ersatz_profile_service_ns(
    const struct ersatz_profile *profile, enum ersatz_request_name name, uint64_t bits_or_bytes)
{
    const struct ersatz_cipher_time *time = &profile->aes[name];

    if (name == ERSATZ_REQUEST_RSA_PRIV)
        return rsa_ns(&profile->rsa_private, bits_or_bytes, PRIVATE_POWER);
    if (name == ERSATZ_REQUEST_RSA_PUB)
        return rsa_ns(&profile->rsa_public, bits_or_bytes, PUBLIC_POWER);
    return time->ns + time->ps_per_byte * bits_or_bytes / 1000;
}

bool ersatz_profile_is_none(const struct ersatz_profile *profile)
{
    static const struct ersatz_profile nothing;
    struct ersatz_profile settings = *profile;

    memset(settings.name, 0, sizeof(settings.name));
    memset(settings.about, 0, sizeof(settings.about));
    memset(settings.source, 0, sizeof(settings.source));
    return memcmp(&settings, &nothing, sizeof(nothing)) == 0;
}
