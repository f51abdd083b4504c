/* SPDX-License-Identifier: Apache-2.0 */
/* Reads numbers and times that a person wrote. Each function returns the first character that it did not
 * read, or NULL where nothing could be read. */
#ifndef ERSATZ_SIM_BASE_UNITS_H
#define ERSATZ_SIM_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* How many digits stand there. */
size_t units_digits(const char *at);

/* A whole number: digits, at least one. NULL also if it is above max. */
const char *units_whole(const char *at, uint64_t max, uint64_t *number);

/* A number with or without decimals, times scale; further decimals are cut off. NULL also if the
 * product is above max. */
const char *units_decimal(const char *at, uint64_t scale, uint64_t max, uint64_t *number);

/* ns, us, ms or s: picoseconds in it. What follows it is not looked at. */
const char *units_time(const char *at, uint64_t *ps);

#define UNITS_PS_PER_NS UINT64_C(1000)

#endif
