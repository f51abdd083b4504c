/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of AES-GCM: for x86_vaes_gcm.c. */
#ifndef ERSATZ_SIM_KERNELS_X86_VAES_COUNTERS_H
#define ERSATZ_SIM_KERNELS_X86_VAES_COUNTERS_H

#include "x86_vaes.h"
#include "x86_vaes_gcm.h"
#include "x86_vaes_ghash.h"

/* As many as there are powers: AES instructions of some can wait for the hash of others. */
#define WIDEST 8u

INLINE struct round_keys round_keys_of(const struct vaes_gcm_key *key)
{
    return (struct round_keys){(const __m128i *)key->round_keys, key->rounds};
}

/* What is done in one call: where it is, and hash and next counter as numbers. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    __m128i hash;
    vector counters; /* of the next four blocks */
};

INLINE void advance(struct text *text, size_t len)
{
    text->in += len;
    text->out += len;
    text->len -= len;
}

/* Counter blocks for count registers. */
INLINE void count_on(struct text *text, vector stream[], unsigned count)
{
    const vector four = halves(4, 0);

    EACH (i, count) {
        stream[i] = swap_bytes(text->counters);
        text->counters = _mm512_add_epi32(text->counters, four);
    }
}

/*
 * The counter blocks of WIDEST registers, with the first round key already added: the last four bytes of each
 * are written anew every time, the others stay. AES and the hash leave nothing idle but the units for
 * ordinary integers, and these do it by the way, early enough to be in memory when they are loaded.
 */
struct counters {
    _Alignas(64) uint8_t blocks[POWERS];
    uint32_t next, key;
};

INLINE void write_counter(struct counters *counters, uint32_t i)
{
    uint32_t last = __builtin_bswap32(counters->next + i) ^ counters->key;

    memcpy(counters->blocks + i * BLOCK + 12, &last, sizeof(last));
}

INLINE void write_counters(struct counters *counters)
{
    UNROLLED(32) for (uint32_t i = 0; i < VAES_GCM_POWERS; i++) write_counter(counters, i);
    counters->next += VAES_GCM_POWERS;
}

INLINE void begin_counters(const struct vaes_gcm_key *key, const struct text *text, struct counters *counters)
{
    vector some = xor_vectors(swap_bytes(text->counters), round_key(round_keys_of(key), 0));

    EACH (i, WIDEST)
        _mm512_store_si512(counters->blocks + i * VECTOR, some);
    counters->next = (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(text->counters));
    counters->key = key->round_keys[3];
}

/* done: how many bytes of text they were for. */
INLINE void end_counters(struct counters *counters, struct text *text, size_t done)
{
    text->counters =
        _mm512_add_epi32(text->counters, spread(_mm_set_epi32(0, 0, 0, (int)(uint32_t)(done / BLOCK))));
    EACH (i, WIDEST)
        _mm512_store_si512(counters->blocks + i * VECTOR, _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(counters) : "memory"); /* the key must not stay: this is not for nothing */
}

/* Everything so far, with what is written, comes before everything that follows. */
INLINE void keep_written(vector stream[])
{
    __asm__ volatile(""
                     : "+v"(stream[0]), "+v"(stream[1]), "+v"(stream[2]), "+v"(stream[3]), "+v"(stream[4]),
                     "+v"(stream[5]), "+v"(stream[6]), "+v"(stream[7])
                     :
                     : "memory");
}

/* The first key stream, and between its rounds the next ones' counters: clang writes these before all rounds,
 * which are an eighth of a text of 1 KiB. */
INLINE void encrypt_beside_counters(
    const struct vaes_gcm_key *key, struct counters *counters, vector stream[])
{
    struct round_keys keys = round_keys_of(key);

    add_first_key(keys, stream, WIDEST);
    EACH (i, WIDEST) {
        encrypt_round_all(keys, stream, WIDEST, i + 1);
        EACH (j, VAES_GCM_POWERS / WIDEST)
            write_counter(counters, i * (VAES_GCM_POWERS / WIDEST) + j);
        keep_written(stream);
    }
    counters->next += VAES_GCM_POWERS;
    encrypt_round_all(keys, stream, WIDEST, WIDEST + 1);
    LONG_KEY_ROUNDS(encrypt_round_all, keys, stream, WIDEST);
    encrypt_last_round_all(keys, stream, WIDEST);
}

#endif
