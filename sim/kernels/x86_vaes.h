/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES, four blocks to a register of 512 bits: what the files have in common that use VAES. Everything here is
 * inlined into functions WITH_VAES, which only processors with VAES may enter.
 *
 * What depends on data or keys are the operands of instructions, never an address or a branch.
 */
#ifndef ERSATZ_SIM_KERNELS_X86_VAES_H
#define ERSATZ_SIM_KERNELS_X86_VAES_H

#include "x86_aes.h"

#define WITH_VAES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,sse4.1")))
#define VAES_INLINE WITH_VAES static inline __attribute__((always_inline)) /* with count as a constant */
#define VAES_WIDE 4u    /* registers at a time: they just hide an instruction's latency */
#define VAES_VECTOR 64u /* bytes */

/* The first len bytes of a register. */
VAES_INLINE __mmask64 vaes_first(size_t len)
{
    return UINT64_MAX >> (VAES_VECTOR - len);
}

/* count registers' worth of text, or one of len bytes. */
VAES_INLINE void vaes_take(const uint8_t *in, __m512i vector[], unsigned count, size_t len)
{
    if (len < VAES_VECTOR)
        vector[0] = _mm512_maskz_loadu_epi8(vaes_first(len), in);
    else
        EACH (i, count)
            vector[i] = _mm512_loadu_si512(in + i * VAES_VECTOR);
}

VAES_INLINE void vaes_put(uint8_t *out, const __m512i vector[], unsigned count, size_t len)
{
    if (len < VAES_VECTOR)
        _mm512_mask_storeu_epi8(out, vaes_first(len), vector[0]);
    else
        EACH (i, count)
            _mm512_storeu_si512(out + i * VAES_VECTOR, vector[i]);
}

VAES_INLINE void vaes_add(__m512i vector[], const __m512i other[], unsigned count)
{
    EACH (i, count)
        vector[i] = _mm512_xor_si512(vector[i], other[i]);
}

VAES_INLINE __m512i vaes_four_times(const uint8_t *block)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)block));
}

/* From the first byte to the last, in each block. */
VAES_INLINE __m512i vaes_swap_bytes(__m512i vector)
{
    return _mm512_shuffle_epi8(
        vector, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

VAES_INLINE __m512i vaes_swap_halves(__m512i vector)
{
    return _mm512_shuffle_epi32(vector, _MM_PERM_BADC);
}

VAES_INLINE __m512i vaes_sum_of_three(__m512i a, __m512i b, __m512i c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

VAES_INLINE __m512i vaes_round_key(struct round_keys keys, unsigned round)
{
    return _mm512_broadcast_i32x4(keys.key[round]);
}

VAES_INLINE void vaes_add_key(struct round_keys keys, __m512i vector[], unsigned count)
{
    EACH (i, count)
        vector[i] = _mm512_xor_si512(vector[i], vaes_round_key(keys, 0));
}

VAES_INLINE void vaes_encrypt_round(struct round_keys keys, __m512i vector[], unsigned count, unsigned round)
{
    EACH (i, count)
        vector[i] = _mm512_aesenc_epi128(vector[i], vaes_round_key(keys, round));
}

VAES_INLINE void vaes_encrypt_last(struct round_keys keys, __m512i vector[], unsigned count)
{
    EACH (i, count)
        vector[i] = _mm512_aesenclast_epi128(vector[i], vaes_round_key(keys, keys.rounds));
}

VAES_INLINE void vaes_encrypt(struct round_keys keys, __m512i vector[], unsigned count)
{
    vaes_add_key(keys, vector, count);
    ROUNDS(vaes_encrypt_round, keys, vector, count);
    vaes_encrypt_last(keys, vector, count);
}

VAES_INLINE void vaes_decrypt_round(struct round_keys keys, __m512i vector[], unsigned count, unsigned round)
{
    EACH (i, count)
        vector[i] = _mm512_aesdec_epi128(vector[i], vaes_round_key(keys, round));
}

VAES_INLINE void vaes_decrypt(struct round_keys keys, __m512i vector[], unsigned count)
{
    vaes_add_key(keys, vector, count);
    ROUNDS(vaes_decrypt_round, keys, vector, count);
    EACH (i, count)
        vector[i] = _mm512_aesdeclast_epi128(vector[i], vaes_round_key(keys, keys.rounds));
}

VAES_INLINE void vaes_crypt(struct round_keys keys, bool encrypting, __m512i vector[], unsigned count)
{
    if (encrypting)
        vaes_encrypt(keys, vector, count);
    else
        vaes_decrypt(keys, vector, count);
}

#endif
