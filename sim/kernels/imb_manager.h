/* SPDX-License-Identifier: Apache-2.0 */
/* The library's managers. A manager holds the streams that the library computes side by side, and belongs to
 * one thread. */
#ifndef ERSATZ_SIM_KERNELS_IMB_MANAGER_H
#define ERSATZ_SIM_KERNELS_IMB_MANAGER_H

#include <intel-ipsec-mb.h>
#include <stdbool.h>
#include <stdint.h>

#include "compute.h"

#define IMB_BLOCK 16u
#define IMB_CHUNK 2048u /* of key stream at a time */

struct imb {
    IMB_MGR *manager; /* NULL until first needed */
    /* COMPUTE_BATCH_MAX of them, cleansed after use; NULL until first needed */
    uint8_t (*key_streams)[IMB_CHUNK + IMB_BLOCK];
    unsigned uncleansed; /* a bit 1 << bytes / 8 for each length of keys in whose lanes key stream was left */
};

/* Make the manager if there is none. False: out of memory, or this processor does not run the library's
 * code. */
bool imb_make_ready(struct imb *imb);

/* A manager that uses the library's code for this processor. NULL: out of memory, or there is no such
 * code. */
IMB_MGR *imb_new_manager(void);

/* Call this after each call of the library: some of its code (version 2.0, lanes of AVX2) leaves the upper
 * halves of vector registers in use, and then every later SSE instruction waits for them, also the
 * application's. */
void imb_clear_upper_halves(void);

/* For tests: use the library's code for this architecture instead of the widest one. Call it before anything
 * else. False: this processor does not run that code. */
bool imb_use_architecture(IMB_ARCH architecture);

#endif
