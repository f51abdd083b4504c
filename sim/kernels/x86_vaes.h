/* SPDX-License-Identifier: Apache-2.0 */
/* AES, four blocks to a register of 512 bits: for processors with VAES and AVX-512. See x86_vectors.h. */
#ifndef ERSATZ_SIM_KERNELS_X86_VAES_H
#define ERSATZ_SIM_KERNELS_X86_VAES_H

#include "x86_state.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,sse4.1")))
#define INLINE TARGET static inline __attribute__((always_inline))

typedef __m512i vector;
#define VECTOR 64u
#define VECTORS 8u

INLINE vector load(const uint8_t *in)
{
    return _mm512_loadu_si512(in);
}

INLINE void store(uint8_t *out, vector blocks)
{
    _mm512_storeu_si512(out, blocks);
}

/* The first len bytes of a register. */
INLINE __mmask64 first_bytes(size_t len)
{
    return UINT64_MAX >> (VECTOR - len);
}

INLINE vector load_part(const uint8_t *in, size_t len)
{
    return _mm512_maskz_loadu_epi8(first_bytes(len), in);
}

INLINE void store_part(uint8_t *out, vector blocks, size_t len)
{
    _mm512_mask_storeu_epi8(out, first_bytes(len), blocks);
}

INLINE vector spread(__m128i block)
{
    return _mm512_broadcast_i32x4(block);
}

INLINE vector xor_vectors(vector a, vector b)
{
    return _mm512_xor_si512(a, b);
}

INLINE vector xor_three(vector a, vector b, vector c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* From the first byte to the last, in each block. Constants are written out in full: gcc would load one of
 * 128 bits and spread it, which is one more step to wait for. */
INLINE vector swap_bytes(vector blocks)
{
    return _mm512_shuffle_epi8(blocks, _mm512_set4_epi32(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f));
}

/* 64 bits of each half of each lane: {low, high} */
INLINE vector halves(long long low, long long high)
{
    return _mm512_set4_epi64(high, low, high, low);
}

/* The two halves of each block. */
INLINE vector swap_halves(vector blocks)
{
    return _mm512_shuffle_epi32(blocks, _MM_PERM_BADC);
}

INLINE vector encrypt_round(vector blocks, vector key)
{
    return _mm512_aesenc_epi128(blocks, key);
}

INLINE vector encrypt_last_round(vector blocks, vector key)
{
    return _mm512_aesenclast_epi128(blocks, key);
}

INLINE vector decrypt_round(vector blocks, vector key)
{
    return _mm512_aesdec_epi128(blocks, key);
}

INLINE vector decrypt_last_round(vector blocks, vector key)
{
    return _mm512_aesdeclast_epi128(blocks, key);
}

#include "x86_vectors.h"

#endif
