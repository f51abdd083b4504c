/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's managers: what it keeps the streams in that it computes side by side. A manager is one
 * thread's only.
 */
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
    uint8_t (
        *key_streams)[IMB_CHUNK + IMB_BLOCK]; /* COMPUTE_BATCH_MAX of them, cleansed after use; the same */
};

/* False: there is no memory for the manager, or the processor has not what it takes. */
bool imb_make_ready(struct imb *imb);

/* A manager that uses the library's code for this processor. NULL: no memory, or there is no such code. */
IMB_MGR *imb_new_manager(void);

/* After each call of the library's code: some of it leaves the upper halves of vector registers in use (2.0
 * in lanes of AVX2), and then every SSE instruction waits for them, the application's too. */
void imb_clear_upper_halves(void);

/* For tests: use the library's code for this architecture instead of the widest. Before anything else; false:
 * this processor does not run it. */
bool imb_use_architecture(IMB_ARCH architecture);

#endif
