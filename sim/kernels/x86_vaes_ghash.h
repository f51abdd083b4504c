/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of AES-GCM: for x86_vaes_gcm.c. The hash of n blocks is a sum of n products with the powers n to 1
 * of the hash key H, reduced once: (hash ^ C[1]) H^n ^ C[2] H^(n-1) ^ ... ^ C[n] H.
 */
#ifndef ERSATZ_SIM_KERNELS_X86_VAES_GHASH_H
#define ERSATZ_SIM_KERNELS_X86_VAES_GHASH_H

#include "x86_vaes.h"
#include "x86_vaes_gcm.h"

#define BLOCK 16u
#define POWERS (VAES_GCM_POWERS * BLOCK) /* bytes */

/* ----------------------------------------------------------------------------------------------- the field
 *
 * Blocks are numbers with their bits in the reverse of GCM's order: bytes swapped on the way in, and what is
 * left of the reversal is a factor of x, which the powers of the key carry (S. Gueron, M. Kounavis, "Intel
 * Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode", 2014, and later practice).
 */

/* Sums of products, of four lanes each, not reduced: low, middle and high 128 bits of 256, overlapping. */
struct product {
    vector low, middle, high;
};

/* x^128 + x^127 + x^126 + x^121 + 1, reversed, without its highest term. */
INLINE vector polynomial(void)
{
    return halves(1, (long long)0xc200000000000000);
}

INLINE struct product no_product(void)
{
    return (struct product){_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
}

INLINE vector halves_added(vector blocks)
{
    return xor_vectors(blocks, swap_halves(blocks));
}

/* Add blocks times power; sum is power's upper half plus its lower one (Karatsuba: three products for four).
 * The middle one still has the other two in it. */
INLINE void multiply_add(struct product *product, vector blocks, vector power, vector sum)
{
    vector halves = halves_added(blocks);

    product->low = xor_vectors(product->low, _mm512_clmulepi64_epi128(blocks, power, 0x00));
    product->high = xor_vectors(product->high, _mm512_clmulepi64_epi128(blocks, power, 0x11));
    product->middle = xor_vectors(product->middle, _mm512_clmulepi64_epi128(halves, sum, 0x00));
}

/* Modulo the polynomial, lane by lane: twice, the lowest 64 bits go up by 128 bits. */
INLINE vector reduce(struct product product)
{
    vector middle = xor_three(product.middle, product.low, product.high);
    vector folded = _mm512_clmulepi64_epi128(polynomial(), product.low, 0x01);

    middle = xor_three(middle, swap_halves(product.low), folded);
    folded = _mm512_clmulepi64_epi128(polynomial(), middle, 0x01);
    return xor_three(product.high, swap_halves(middle), folded);
}

INLINE __m128i sum_of_lanes(vector blocks)
{
    __m256i two = _mm256_xor_si256(_mm512_castsi512_si256(blocks), _mm512_extracti64x4_epi64(blocks, 1));

    return _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}

INLINE vector multiply(vector blocks, vector power)
{
    struct product product = no_product();

    multiply_add(&product, blocks, power, halves_added(power));
    return reduce(product);
}

INLINE __m128i swapped(__m128i block)
{
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* --------------------------------------------------------------------------------------------------- hash */

/* The product of register i of count with its powers: the last one's last block has the first power. */
INLINE void hash_one(const struct vaes_gcm_key *key, struct product *product, const vector blocks[],
    unsigned count, unsigned i)
{
    size_t at = POWERS - (count - i) * VECTOR;

    multiply_add(product, blocks[i], _mm512_load_si512(key->powers + at), _mm512_load_si512(key->sums + at));
}

/* The hash so far goes into the first of count registers' blocks, which are swapped; together they make the
 * next. */
INLINE __m128i hash_vectors(const struct vaes_gcm_key *key, __m128i hash, vector blocks[], unsigned count)
{
    struct product product = no_product();

    blocks[0] = xor_vectors(blocks[0], _mm512_zextsi128_si512(hash));
    EACH (i, count)
        hash_one(key, &product, blocks, count, i);
    return sum_of_lanes(reduce(product));
}

INLINE size_t blocks_in(size_t len)
{
    return (len + BLOCK - 1) / BLOCK;
}

/* The product of one register's first blocks, 1 to 4, with the powers from power down; what is in the lanes
 * behind them does not matter. */
INLINE void hash_some(
    const struct vaes_gcm_key *key, struct product *product, vector blocks, size_t count, size_t power)
{
    __mmask8 first = (__mmask8)((1u << 2 * count) - 1);
    size_t at = POWERS - power * BLOCK;

    multiply_add(product, blocks, _mm512_maskz_loadu_epi64(first, key->powers + at),
        _mm512_maskz_loadu_epi64(first, key->sums + at));
}

/* One block, in the first lane alone: no masks, and no lanes to add up. */
INLINE __m128i hash_block(const struct vaes_gcm_key *key, __m128i hash, __m128i block)
{
    const size_t at = POWERS - BLOCK;
    struct product product = no_product();

    multiply_add(&product, _mm512_castsi128_si512(_mm_xor_si128(hash, block)),
        _mm512_castsi128_si512(_mm_load_si128((const __m128i *)(key->powers + at))),
        _mm512_castsi128_si512(_mm_load_si128((const __m128i *)(key->sums + at))));
    return _mm512_castsi512_si128(reduce(product));
}

/* One register with less than four blocks. */
INLINE __m128i hash_few(const struct vaes_gcm_key *key, __m128i hash, vector blocks, size_t len)
{
    struct product product = no_product();

    blocks = xor_vectors(blocks, _mm512_zextsi128_si512(hash));
    hash_some(key, &product, blocks, blocks_in(len), blocks_in(len));
    return sum_of_lanes(reduce(product));
}

/* Bytes that end what they belong to: the last block is filled up with zeros. */
TARGET static __m128i hash_bytes(
    const struct vaes_gcm_key *key, __m128i hash, const uint8_t *bytes, size_t len)
{
    vector blocks;

    for (; len >= VECTOR; bytes += VECTOR, len -= VECTOR) {
        blocks = swap_bytes(_mm512_loadu_si512(bytes));
        hash = hash_vectors(key, hash, &blocks, 1);
    }
    if (len > 0) {
        load_all(bytes, &blocks, 1, len);
        hash = hash_few(key, hash, swap_bytes(blocks), len);
    }
    return hash;
}

/* The end of a block that was already added to the hash. */
INLINE __m128i hash_added(const struct vaes_gcm_key *key, __m128i hash)
{
    return hash_block(key, hash, _mm_setzero_si128());
}

/* The last block that is hashed: two lengths, given in bytes. */
INLINE __m128i lengths_block(uint64_t one, uint64_t two)
{
    return _mm_set_epi64x((long long)(one * 8), (long long)(two * 8));
}

INLINE __m128i hash_lengths(const struct vaes_gcm_key *key, __m128i hash, uint64_t one, uint64_t two)
{
    return hash_block(key, hash, lengths_block(one, two));
}

#endif
