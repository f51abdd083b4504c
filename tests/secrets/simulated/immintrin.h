/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVX-512 as the batch kernel for RSA uses it, in plain C: for valgrind, which does not know these
 * instructions. Every lane is computed by itself, and no lane's value decides what is done.
 */
#ifndef ERSATZ_TESTS_SIMULATED_IMMINTRIN_H
#define ERSATZ_TESTS_SIMULATED_IMMINTRIN_H

#include <stdint.h>
#include <string.h>

#define SIMULATED static inline __attribute__((always_inline, unused))

typedef uint64_t __m512i __attribute__((vector_size(64)));
typedef uint8_t __mmask8;

#define EACH_LANE(i) for (unsigned i = 0; i < 8; i++)

SIMULATED __m512i _mm512_set1_epi64(int64_t a)
{
    return (__m512i){0} + (uint64_t)a;
}

SIMULATED __m512i _mm512_setzero_si512(void)
{
    return (__m512i){0};
}

SIMULATED __m512i _mm512_set_epi64(
    int64_t h, int64_t g, int64_t f, int64_t e, int64_t d, int64_t c, int64_t b, int64_t a)
{
    return (__m512i){(uint64_t)a, (uint64_t)b, (uint64_t)c, (uint64_t)d, (uint64_t)e, (uint64_t)f,
        (uint64_t)g, (uint64_t)h};
}

SIMULATED __m512i _mm512_loadu_si512(const void *from)
{
    __m512i out;

    memcpy(&out, from, sizeof(out));
    return out;
}

SIMULATED void _mm512_storeu_si512(void *to, __m512i a)
{
    memcpy(to, &a, sizeof(a));
}

SIMULATED __m512i _mm512_add_epi64(__m512i a, __m512i b)
{
    return a + b;
}

SIMULATED __m512i _mm512_sub_epi64(__m512i a, __m512i b)
{
    return a - b;
}

SIMULATED __m512i _mm512_and_si512(__m512i a, __m512i b)
{
    return a & b;
}

SIMULATED __m512i _mm512_or_si512(__m512i a, __m512i b)
{
    return a | b;
}

SIMULATED __m512i _mm512_xor_si512(__m512i a, __m512i b)
{
    return a ^ b;
}

SIMULATED __m512i _mm512_srli_epi64(__m512i a, unsigned bits)
{
    return a >> bits;
}

SIMULATED __m512i _mm512_srai_epi64(__m512i a, unsigned bits)
{
    typedef int64_t signed_lanes __attribute__((vector_size(64)));

    return (__m512i)((signed_lanes)a >> (int)bits);
}

/* ------------------------------------------------------------------------------------------- multiply-add */

#define LOW52 ((UINT64_C(1) << 52) - 1)

SIMULATED __m512i _mm512_madd52lo_epu64(__m512i sum, __m512i a, __m512i b)
{
    return sum + (((a & LOW52) * (b & LOW52)) & LOW52);
}

SIMULATED __m512i _mm512_madd52hi_epu64(__m512i sum, __m512i a, __m512i b)
{
    EACH_LANE(i)
    sum[i] += (uint64_t)((unsigned __int128)(a[i] & LOW52) * (b[i] & LOW52) >> 52);
    return sum;
}

/* ------------------------------------------------------------------------------------------------- masks */

SIMULATED __m512i simulated_mask(__mmask8 mask)
{
    __m512i out;

    EACH_LANE(i)
    out[i] = 0 - (uint64_t)(mask >> i & 1);
    return out;
}

SIMULATED __mmask8 _mm512_movepi64_mask(__m512i a)
{
    unsigned mask = 0;

    EACH_LANE(i)
    mask |= (unsigned)(a[i] >> 63) << i;
    return (__mmask8)mask;
}

/* Bit by bit, without a comparison that a compiler could make a branch. */
SIMULATED __mmask8 _mm512_test_epi64_mask(__m512i a, __m512i b)
{
    __m512i both = a & b;

    return _mm512_movepi64_mask(both | (0 - both));
}

SIMULATED __mmask8 _mm512_cmpeq_epi64_mask(__m512i a, __m512i b)
{
    __mmask8 different = _mm512_test_epi64_mask(a ^ b, a ^ b);

    return (__mmask8)~different;
}

SIMULATED __m512i _mm512_mask_mov_epi64(__m512i a, __mmask8 mask, __m512i b)
{
    __m512i taken = simulated_mask(mask);

    return (a & ~taken) | (b & taken);
}

SIMULATED __m512i _mm512_mask_add_epi64(__m512i other, __mmask8 mask, __m512i a, __m512i b)
{
    return _mm512_mask_mov_epi64(other, mask, a + b);
}

SIMULATED __m512i _mm512_mask_sub_epi64(__m512i other, __mmask8 mask, __m512i a, __m512i b)
{
    return _mm512_mask_mov_epi64(other, mask, a - b);
}

SIMULATED __m512i _mm512_maskz_load_epi64(__mmask8 mask, const void *from)
{
    return _mm512_loadu_si512(from) & simulated_mask(mask);
}

SIMULATED long long _mm512_reduce_or_epi64(__m512i a)
{
    uint64_t all = 0;

    EACH_LANE(i)
    all |= a[i];
    return (long long)all;
}

/* What keeps a compiler from moving a load has no place here: "v" is a register of the other kind. */
#define __asm__(...)

#endif
