/* What the timing report measures. */
#ifndef ERSATZ_TESTS_TIMING_H
#define ERSATZ_TESTS_TIMING_H

#include "meter.h"

/* The test of the test: the same class twice, and a comparison that ends at the first difference. Returns
 * whether the second was found out and the first was not: else the machine is too noisy for the rest. */
bool measure_controls(double seconds);

/* The RSA private operation, key fixed: one input over and over against random ones. */
void measure_rsa(double seconds);

/* Opening TLS records of CBC with HMAC: what is wrong with them, and where the MAC lies. */
void measure_records(double seconds);

#endif
