/* SPDX-License-Identifier: Apache-2.0 */
/* AES, one block to a register of 128 bits: for every processor with AES instructions. See x86_vectors.h. */
#ifndef ERSATZ_SIM_KERNELS_X86_AES_H
#define ERSATZ_SIM_KERNELS_X86_AES_H

#include "x86_state.h"

#define TARGET __attribute__((target("aes,sse4.1")))
#define INLINE TARGET static inline __attribute__((always_inline))

typedef __m128i vector;
#define VECTOR 16u
#define VECTORS 8u
#define XTS_VECTORS VECTORS

INLINE vector load(const uint8_t *in)
{
    return _mm_loadu_si128((const __m128i *)in);
}

INLINE void store(uint8_t *out, vector block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

INLINE vector load_part(const uint8_t *in, size_t len)
{
    uint8_t bytes[VECTOR] = {0};
    vector block;

    for (size_t i = 0; i < len; i++)
        bytes[i] = in[i];
    block = load(bytes);
    x86_cleanse_block(bytes);
    return block;
}

INLINE void store_part(uint8_t *out, vector block, size_t len)
{
    uint8_t bytes[VECTOR];

    store(bytes, block);
    for (size_t i = 0; i < len; i++)
        out[i] = bytes[i];
    x86_cleanse_block(bytes);
}

INLINE vector spread(__m128i block)
{
    return block;
}

INLINE vector xor_vectors(vector a, vector b)
{
    return _mm_xor_si128(a, b);
}

INLINE vector xor_three(vector a, vector b, vector c)
{
    return _mm_xor_si128(_mm_xor_si128(a, b), c);
}

INLINE vector swap_bytes(vector block)
{
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE vector encrypt_round(vector block, vector key)
{
    return _mm_aesenc_si128(block, key);
}

INLINE vector encrypt_last_round(vector block, vector key)
{
    return _mm_aesenclast_si128(block, key);
}

INLINE vector decrypt_round(vector block, vector key)
{
    return _mm_aesdec_si128(block, key);
}

INLINE vector decrypt_last_round(vector block, vector key)
{
    return _mm_aesdeclast_si128(block, key);
}

#include "x86_vectors.h"

#endif
