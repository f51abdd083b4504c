/* SPDX-License-Identifier: Apache-2.0 */
/* What the timing report measures. */
#ifndef ERSATZ_TESTS_TIMING_H
#define ERSATZ_TESTS_TIMING_H

#include <stdbool.h>

#include "meter.h"

/* The test of the test: the same class twice, and a comparison that ends at the first difference. Returns
 * whether the second was found out and the first was not: else the machine is too noisy for the rest. */
bool measure_controls(double seconds);

/* The RSA private operation: one input over and over against random ones, keys with few bits set against keys
 * with many, results with leading zeros against full ones. By the engine that ERSATZ_MODULE names, too.
 * Returns whether two leaks, planted for the purpose, were found out. */
bool measure_rsa(double seconds);

/* Opening TLS records of CBC with HMAC: what is wrong with them, and where the MAC lies. Returns whether a
 * control, two classes of one kind, came out as equal. */
bool measure_records(double seconds);

#endif
