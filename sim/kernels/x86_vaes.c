/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts whose blocks do not wait for each other, four blocks to a register of 512 bits. In such a register,
 * lane i of 128 bits has block i.
 */
#include "x86_vaes.h"

/* 64 bits of each half of each lane: {low, high} */
INLINE vector halves(long long low, long long high)
{
    return spread(_mm_set_epi64x(high, low));
}

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

/*
 * Each of four blocks times a power of x, up to x^63, in the field of IEEE 1619-2018, 5.2. power has the
 * exponents, twice each. What is shifted out of a half comes into the other; out of the upper one it comes
 * back times x^7 + x^2 + x + 1.
 */
INLINE vector times_power_of_x(vector tweaks, vector power)
{
    vector out = _mm512_srlv_epi64(tweaks, _mm512_sub_epi64(_mm512_set1_epi64(64), power));
    vector across = swap_halves(out);
    vector back = _mm512_clmulepi64_epi128(across, halves(0x87, 0), 0x00);

    across = _mm512_maskz_mov_epi64(0xaa, across);
    return xor_three(_mm512_sllv_epi64(tweaks, power), across, back);
}

INLINE vector first_tweaks(vector tweak)
{
    return times_power_of_x(tweak, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0));
}

/* The same for a power that is a number of bytes: what is shifted out comes back in one product. */
#define TIMES_BYTES(tweaks, bytes)                                                                           \
    xor_vectors(_mm512_bslli_epi128(tweaks, bytes),                                                          \
        _mm512_clmulepi64_epi128(_mm512_bsrli_epi128(tweaks, 16 - (bytes)), halves(0x87, 0), 0x00))

/* Two registers are eight blocks, and so a byte: only the second one takes a product with less than that.
 * None waits for many others, and the next step waits for the first alone. */
INLINE vector make_tweaks(vector first, vector tweaks[], unsigned count)
{
    vector second = times_power_of_x(first, _mm512_set1_epi64(4));

    tweaks[0] = first;
    if (count == 1)
        return second;
    tweaks[1] = second;
    UNROLLED(8) for (unsigned i = 2; i < count; i++) tweaks[i] = TIMES_BYTES(tweaks[i - 2], 1);
    return count == 4 ? TIMES_BYTES(first, 2) : TIMES_BYTES(first, 4);
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
        [ERSATZ_XTS] = {TEXTS(run_xts_decrypt, XTS_MAX, WHOLE_BLOCKS),
            TEXTS(run_xts_encrypt, XTS_MAX, WHOLE_BLOCKS)},
    };

    return by_mode[mode][encrypt];
}
