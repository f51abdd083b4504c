/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts whose blocks do not wait for each other, four blocks to a register of 512 bits. In such a register,
 * lane i of 128 bits has block i.
 */
#include "x86_vaes.h"

INLINE uint64_t last_64_bits(vector counter)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(counter));
}

INLINE vector counters_from(vector counter)
{
    return _mm512_add_epi64(counter, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
}

INLINE vector next_counters(vector counters)
{
    return _mm512_add_epi64(counters, halves(4, 0));
}

INLINE vector carried(vector counter)
{
    return _mm512_maskz_add_epi64(0xaa, counter, _mm512_set1_epi64(1));
}

INLINE vector blocks_before(vector last, vector cipher)
{
    return _mm512_alignr_epi64(cipher, last, 6);
}

#include "x86_modes.h"

struct x86_function x86_vaes_function_for(enum ersatz_mode mode, bool encrypt)
{
    static const struct x86_function by_mode[ERSATZ_MODES][2] = {
        [ERSATZ_CBC] = {TEXTS(run_cbc_decrypt, SIZE_MAX, WHOLE_BLOCKS)},
        [ERSATZ_CTR] = {TEXTS(run_ctr, SIZE_MAX, ANY_LENGTH), TEXTS(run_ctr, SIZE_MAX, ANY_LENGTH)},
        [ERSATZ_ECB] = {TEXTS(run_ecb_decrypt, SIZE_MAX, WHOLE_BLOCKS),
            TEXTS(run_ecb_encrypt, SIZE_MAX, WHOLE_BLOCKS)},
        [ERSATZ_CFB] = {TEXTS(run_cfb_decrypt, SIZE_MAX, ANY_LENGTH)},
        [ERSATZ_XTS] = {TEXTS(x86_vaes_xts_decrypt, XTS_MAX, WHOLE_BLOCKS),
            TEXTS(x86_vaes_xts_encrypt, XTS_MAX, WHOLE_BLOCKS)},
    };

    return by_mode[mode][encrypt];
}
