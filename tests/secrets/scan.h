/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for secrets that were left in the memory of the process. */
#ifndef ERSATZ_TESTS_SCAN_H
#define ERSATZ_TESTS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_LEN 16u

/* A few bytes of a secret, kept so that the search does not find them. */
struct scan {
    uint8_t masked[SCAN_LEN];
    size_t len;
};

/* Up to SCAN_LEN bytes, at least 8. */
struct scan scan_for(const void *bytes, size_t len);

/* Digit `index` of a number of len bytes, as the batch kernel has it: 52 bits in a word. */
struct scan scan_for_digit(const uint8_t *number, size_t len, unsigned index);

/* How many copies there are in all memory that can be written, with where they are on standard error. */
unsigned scan_memory(const struct scan *scan);

/* Waits until there are none of `count` secrets: the card may be about to let go of a request of which it has
 * told. A copy that stays hangs the test. */
void scan_until_none(const char *what, const struct scan scans[], unsigned count);

#endif
