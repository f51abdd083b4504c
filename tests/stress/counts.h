/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has, counted. */
#ifndef ERSATZ_STRESS_COUNTS_H
#define ERSATZ_STRESS_COUNTS_H

struct counts {
    long descriptors, threads;
    long blocks;     /* of libcrypto's, without those that were lost with abandoned jobs */
    long all_blocks; /* of malloc's, likewise; -1: not known */
};

/* Before threads are counted, in a process without any. */
void counts_begin(void);

struct counts counts_take(void);

#endif
