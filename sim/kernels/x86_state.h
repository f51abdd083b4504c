/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the x86 kernel share: a state from within, and round keys. */
#ifndef ERSATZ_SIM_KERNELS_X86_STATE_H
#define ERSATZ_SIM_KERNELS_X86_STATE_H

#include <immintrin.h>
#include <string.h>

#include "aes.h"
#include "imb.h"
#include "x86.h"
#include "x86_vaes_gcm.h"

#define X86_BLOCK 16u
#define X86_ROUND_KEYS (15 * 4) /* words, of the longest key */

struct x86_gcm {
    struct imb_gcm *library; /* Intel's library computes; NULL: x86_vaes_gcm.c does */
    struct vaes_gcm_key key;
    struct vaes_gcm message; /* the message under way; so is this: */
    uint64_t text_len;
};

/* Round keys in the order of use (FIPS 197, 5.2); those for decryption are of the equivalent inverse cipher
 * (5.3.5), as the processor's instructions and Intel's library take them. */
struct x86_keys {
    _Alignas(16) uint32_t encrypt[X86_ROUND_KEYS];
    _Alignas(16) uint32_t decrypt[X86_ROUND_KEYS]; /* CBC, ECB, XTS */
    _Alignas(16) uint32_t tweak[X86_ROUND_KEYS];   /* XTS */
};

struct x86_state {
    union {
        struct x86_gcm gcm;   /* GCM */
        struct x86_keys keys; /* every other mode */
    };
    enum ersatz_mode mode;
    size_t key_len;  /* of the block cipher, in bytes: for XTS, half of the key */
    unsigned rounds; /* x86_rounds(key_len) */
};

struct round_keys {
    const __m128i *key;
    unsigned rounds; /* 10, 12 or 14 */
};

/* For a key of so many bytes: FIPS 197, figure 4. */
static inline unsigned x86_rounds(size_t key_len)
{
    return (unsigned)key_len / 4 + 6;
}

static inline struct round_keys round_keys_from(const struct x86_state *state, const uint32_t *words)
{
    return (struct round_keys){(const __m128i *)words, state->rounds};
}

/* Cleanse a few bytes, of a constant number. Not by OPENSSL_cleanse(): a call costs as much as a block. */
static inline void x86_cleanse(void *bytes, size_t len)
{
    memset(bytes, 0, len);
    __asm__ volatile("" : : "r"(bytes) : "memory"); /* else the compiler leaves it out */
}

static inline void x86_cleanse_block(uint8_t block[X86_BLOCK])
{
    x86_cleanse(block, X86_BLOCK);
}

/* x86_state.c: the round keys for encryption. */
void x86_expand_key(const uint8_t *key, size_t key_len, uint32_t round_keys[X86_ROUND_KEYS]);

/* x86_vaes.c: x86_function_for() on a processor that has VAES; run NULL: not in this mode. */
struct x86_function x86_vaes_function_for(enum ersatz_mode mode, bool encrypt);

/* x86_vaes_xts.c */
x86_text x86_vaes_xts_encrypt, x86_vaes_xts_decrypt;

/* A data unit of XTS has no more than 2^20 blocks: IEEE 1619-2018, 5.1. */
#define XTS_MAX ((size_t)1 << 24)

/* A struct x86_function with one function for all lengths. */
#define TEXTS(run, longest, forbidden)                                                                       \
    {                                                                                                        \
        run, {1, longest}, forbidden, 0, run                                                                 \
    }

/* Bits that the length of a text must not have: see struct x86_function. */
#define ANY_LENGTH 0u
#define WHOLE_BLOCKS (X86_BLOCK - 1) /* of XTS too: ciphertext stealing is left to libcrypto */

#endif
