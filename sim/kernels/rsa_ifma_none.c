/* SPDX-License-Identifier: Apache-2.0 */
/* Where the compiler or the processor's family has no AVX-512: libcrypto does everything. See rsa_ifma.h. */
#include "rsa_ifma.h"

#include <stdlib.h>

bool rsa_ifma_is_available(void)
{
    return false;
}

struct rsa_ifma *rsa_ifma_new(void)
{
    return NULL;
}

void rsa_ifma_free(struct rsa_ifma *ifma)
{
    (void)ifma;
}

uint32_t rsa_ifma_compute(struct rsa_ifma *ifma, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t open, bool with_others)
{
    (void)ifma;
    (void)ops;
    (void)results;
    (void)open;
    (void)with_others;
    return 0;
}

void rsa_ifma_portable_took(struct rsa_ifma *ifma, const struct ersatz_op *op, uint64_t nanoseconds)
{
    (void)ifma;
    (void)op;
    (void)nanoseconds;
}
