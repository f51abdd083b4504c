/* SPDX-License-Identifier: Apache-2.0 */
/* See units.h. */
#include "units.h"

#include <string.h>

size_t units_digits(const char *at)
{
    return strspn(at, "0123456789");
}

const char *units_whole(const char *at, uint64_t max, uint64_t *number)
{
    const char *end = at + units_digits(at);

    *number = 0;
    if (at == end)
        return NULL;
    for (; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (digit > max || *number > (max - digit) / 10)
            return NULL;
        *number = 10 * *number + digit;
    }
    return end;
}

const char *units_decimal(const char *at, uint64_t scale, uint64_t max, uint64_t *number)
{
    uint64_t whole, fraction = 0;

    at = units_whole(at, max / scale, &whole);
    if (at == NULL)
        return NULL;
    if (*at == '.') {
        size_t digits = units_digits(++at);

        for (uint64_t unit = scale / 10; digits > 0; digits--, unit /= 10)
            fraction += unit * (uint64_t)(*at++ - '0');
    }
    *number = whole * scale + fraction;
    return *number <= max ? at : NULL;
}

const char *units_time(const char *at, uint64_t *ps)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t len = strlen(units[i].name);

        if (strncmp(at, units[i].name, len) != 0)
            continue;
        *ps = units[i].ns * UNITS_PS_PER_NS;
        return at + len;
    }
    return NULL;
}
