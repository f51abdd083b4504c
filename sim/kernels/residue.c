/* SPDX-License-Identifier: Apache-2.0 */
/* See residue.h. */
#include "residue.h"

#include <openssl/crypto.h>
#include <stdint.h>

static __attribute__((noinline)) void clear_stack(void)
{
    uint8_t below[RESIDUE_DEPTH];

    OPENSSL_cleanse(below, sizeof(below));
}

#define CLEAR(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define CLEAR_MASK(n) "kxorw %%k" #n ", %%k" #n ", %%k" #n "\n\t"

static void clear_registers(void)
{
    __asm__ volatile(CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(
        24) CLEAR(25) CLEAR(26) CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31) CLEAR_MASK(1) CLEAR_MASK(2)
                         CLEAR_MASK(3) CLEAR_MASK(4) CLEAR_MASK(5) CLEAR_MASK(6) CLEAR_MASK(7) "vzeroall" ::
                             : "k1", "k2", "k3", "k4", "k5", "k6", "k7", "xmm0", "xmm1", "xmm2", "xmm3",
                     "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                     "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
                     "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

void residue_clear(void)
{
    clear_stack();
    clear_registers();
}
