/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which code computes single operations of a cipher fastest on this processor: libcrypto's, ours, or that of
 * Intel's library. The first question about a cipher, key length and direction is answered by measuring:
 * messages of 64 bytes, 1, 4 and 16 KiB, each several times and in turn, of which the shortest times count.
 * GCM is measured in both directions, and both are answered. That takes 100 microseconds to 1 millisecond of
 * the calling thread, and 6 milliseconds on a processor without instructions for AES. Any thread; no lock is
 * held meanwhile.
 */
#ifndef ERSATZ_SIM_KERNELS_FASTER_H
#define ERSATZ_SIM_KERNELS_FASTER_H

#include "x86.h"

/* Not for modes with a MAC key, of which libcrypto computes all. key_len: in bytes, of the mode. */

/* The fastest kernel that is not libcrypto's, for texts of 16 KiB. */
enum ersatz_kernel faster_kernel(enum ersatz_mode mode, size_t key_len, bool encrypt);

/* The lengths for which that kernel, which is not libcrypto's, is as fast as libcrypto. */
struct lengths faster_lengths(enum ersatz_mode mode, size_t key_len, bool encrypt, enum ersatz_kernel kernel);

/* How long a kernel takes for so many operations on messages of len bytes, in nanoseconds; UINT64_MAX: it
 * does not compute them. */
typedef uint64_t faster_timer(
    enum ersatz_mode mode, size_t key_len, bool encrypt, enum ersatz_kernel kernel, size_t len);

/* For tests: believe this instead of measuring, and forget what was measured. NULL: measure. */
void faster_believe(faster_timer *timer);

#endif
