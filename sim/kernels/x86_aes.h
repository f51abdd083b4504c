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

INLINE vector load(const uint8_t *in)
{
    return _mm_loadu_si128((const __m128i *)in);
}

INLINE void store(uint8_t *out, vector block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

/* Up to eight bytes as a number, the first one the lowest. By few loads, and not through memory, which would
 * wait until what is written byte by byte can be read at once. */
INLINE uint64_t load_number(const uint8_t *in, size_t len)
{
    uint32_t first, last;
    uint64_t number = 0;

    if (len == 8) {
        memcpy(&number, in, 8);
    } else if (len >= 4) { /* two words, which overlap */
        memcpy(&first, in, 4);
        memcpy(&last, in + len - 4, 4);
        number = first | (uint64_t)last << 8 * (len - 4);
    } else {
        for (size_t i = 0; i < len; i++)
            number |= (uint64_t)in[i] << 8 * i;
    }
    return number;
}

INLINE vector load_part(const uint8_t *in, size_t len)
{
    size_t low = len < 8 ? len : 8;

    return _mm_set_epi64x((long long)load_number(in + low, len - low), (long long)load_number(in, low));
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
