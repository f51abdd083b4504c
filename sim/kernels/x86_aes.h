/* SPDX-License-Identifier: Apache-2.0 */
/* What x86_aes.c and x86_vaes.c share: keys, and which texts they take. */
#ifndef ERSATZ_SIM_KERNELS_X86_AES_H
#define ERSATZ_SIM_KERNELS_X86_AES_H

#include <immintrin.h>
#include <string.h>

#include "imb_state.h"

/* As the library expands them: round keys in the order of use, those for decryption with the inverse mix of
 * columns already applied. */
struct round_keys {
    const __m128i *key;
    unsigned rounds; /* 10, 12 or 14 */
};

static inline struct round_keys round_keys_from(const struct imb_state *state, const uint32_t *words)
{
    return (struct round_keys){(const __m128i *)words, imb_rounds(state->block_key_len)};
}

/* Cleanse a block of key stream on the stack. Not by OPENSSL_cleanse(): a call costs as much as a block. */
static inline void imb_cleanse_block(uint8_t block[16])
{
    memset(block, 0, 16);
    __asm__ volatile("" : : "r"(block) : "memory"); /* else the compiler leaves it out */
}

/* A loop over registers, of which count is a constant. */
#define EACH(i, count) _Pragma("GCC unroll 8") for (unsigned i = 0; i < (count); i++)

/* All rounds but the last: those of a key of 128 bits, and two more, and two more. one_round(keys, blocks,
 * count, round). */
#define ROUNDS(one_round, keys, blocks, count)                                                               \
    do {                                                                                                     \
        _Pragma("GCC unroll 9") for (unsigned round = 1; round < 10; round++)                                \
            one_round(keys, blocks, count, round);                                                           \
        LONG_KEY_ROUNDS(one_round, keys, blocks, count);                                                     \
    } while (0)

/* Of these, the ones that a key of 128 bits has not. */
#define LONG_KEY_ROUNDS(one_round, keys, blocks, count)                                                      \
    do {                                                                                                     \
        if ((keys).rounds > 10) {                                                                            \
            one_round(keys, blocks, count, 10);                                                              \
            one_round(keys, blocks, count, 11);                                                              \
        }                                                                                                    \
        if ((keys).rounds > 12) {                                                                            \
            one_round(keys, blocks, count, 12);                                                              \
            one_round(keys, blocks, count, 13);                                                              \
        }                                                                                                    \
    } while (0)

/* For struct imb_short: bits that a length must not have. */
#define ANY_LENGTH 0u
#define WHOLE_BLOCKS (IMB_BLOCK - 1) /* of XTS too, which would else steal ciphertext: left to libcrypto */

/* x86_vaes.c: imb_short_for() on processors that have VAES; run NULL: not on this one, or not in this mode.
 */
struct imb_short imb_vaes_for(enum ersatz_mode mode, bool encrypting);

#endif
