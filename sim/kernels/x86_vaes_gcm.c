/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM, up to 32 blocks at a time: the rounds that encrypt counters alternate with the products that hash
 * ciphertext, so that the processor works on both at once.
 *
 * What depends on data or keys are the operands of instructions, never an address or a branch.
 */
#include "x86_vaes_gcm.h"

#include <string.h>

#include "x86_vaes.h"
#include "x86_vaes_counters.h"
#include "x86_vaes_ghash.h"

#define SOME 4u /* registers at a time, of texts that are not that long */

/* ----------------------------------------------------------------------------------------------- keys */

INLINE __m128i encrypt_block(const struct vaes_gcm_key *key, __m128i block)
{
    vector blocks = _mm512_castsi128_si512(block);

    encrypt_all(round_keys_of(key), &blocks, 1);
    return _mm512_castsi512_si128(blocks);
}

/* Times x; what is shifted out at the top comes back as the polynomial. */
INLINE __m128i times_x(__m128i block)
{
    __m128i carries = _mm_srai_epi32(_mm_shuffle_epi32(block, 0xd3), 31);
    __m128i back = _mm_set_epi64x((long long)0xc200000000000001, 1); /* with the carry between the halves */

    return _mm_xor_si128(_mm_add_epi64(block, block), _mm_and_si128(carries, back));
}

/* The powers count up from the end, four to a register: each register is the one behind it times the
 * fourth. */
TARGET void vaes_gcm_make_powers(struct vaes_gcm_key *key)
{
    __m128i first = times_x(swapped(encrypt_block(key, _mm_setzero_si128())));
    vector all = spread(first), fourth, powers;

    powers = multiply(all, all);                                        /* 2 */
    powers = _mm512_mask_mov_epi64(powers, 0xc0, all);                  /* 2, 2, 2, 1 */
    fourth = multiply(powers, _mm512_shuffle_i64x2(powers, powers, 0)); /* 4, 4, 4, 3 */
    powers = _mm512_shuffle_i64x2(fourth, powers, 0xec);                /* 4, 3, 2, 1 */
    fourth = _mm512_shuffle_i64x2(fourth, fourth, 0);
    for (unsigned i = VAES_GCM_POWERS / 4; i-- > 0; powers = multiply(powers, fourth)) {
        _mm512_store_si512(key->powers + i * VECTOR, powers);
        _mm512_store_si512(key->sums + i * VECTOR, halves_added(powers));
    }
}

/* ---------------------------------------------------------------------------------------------- message */

INLINE __m128i load_block(const uint8_t *in)
{
    return _mm_loadu_si128((const __m128i *)in);
}

INLINE void store_block(uint8_t *out, __m128i block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

TARGET void vaes_gcm_begin(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, const uint8_t *iv,
    size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    if (iv_len == 12) { /* written at once, since it is soon read at once */
        uint64_t first;
        uint32_t last;

        memcpy(&first, iv, 8);
        memcpy(&last, iv + 8, 4);
        store_block(gcm->counters, _mm_set_epi64x((long long)(UINT64_C(1) << 56 | last), (long long)first));
    } else {
        __m128i hash = hash_bytes(key, _mm_setzero_si128(), iv, iv_len);

        store_block(gcm->counters, swapped(hash_lengths(key, hash, 0, iv_len)));
    }
    gcm->aad_len = aad_len;
    gcm->text_len = 0;
    gcm->waits = aad_len <= sizeof(gcm->aad);
    if (!gcm->waits)
        store_block(gcm->hash, swapped(hash_bytes(key, _mm_setzero_si128(), aad, aad_len)));
    else if (aad_len > 0)
        _mm512_store_si512(gcm->aad, load_part(aad, aad_len));
}

/* Hash what waits: more text comes, and of that, what is in mask is not to stay. */
TARGET static void end_waiting(const struct vaes_gcm_key *key, struct vaes_gcm *gcm)
{
    size_t part = gcm->text_len % BLOCK, whole = gcm->text_len - part;
    __m128i hash = hash_bytes(key, _mm_setzero_si128(), gcm->aad, gcm->aad_len);

    hash = swapped(hash_bytes(key, hash, gcm->text, whole));
    if (part > 0)
        hash = _mm_xor_si128(hash, load_block(gcm->text + whole));
    store_block(gcm->hash, hash);
    x86_cleanse_block(gcm->mask);
    gcm->waits = false;
}

/* The four counter blocks from the next-th behind the first one on, as numbers. */
INLINE vector counters_from(const struct vaes_gcm *gcm, int next)
{
    return _mm512_add_epi32(swap_bytes(spread(load_block(gcm->counters))),
        _mm512_set_epi32(0, 0, 0, next + 3, 0, 0, 0, next + 2, 0, 0, 0, next + 1, 0, 0, 0, next));
}

INLINE void swap_all(const vector blocks[], vector swapped[], unsigned count)
{
    EACH (i, count)
        swapped[i] = swap_bytes(blocks[i]);
}

/* count registers of text, len bytes, with their key stream; their ciphertext is hashed. */
INLINE void crypt_registers(
    const struct vaes_gcm_key *key, struct text *text, unsigned count, size_t len, bool encrypt)
{
    vector stream[SOME], blocks[SOME], cipher[SOME];

    count_on(text, stream, count);
    encrypt_all(round_keys_of(key), stream, count);
    load_all(text->in, blocks, count, len);
    swap_all(blocks, cipher, count);
    xor_all(blocks, stream, count);
    store_all(text->out, blocks, count, len);
    if (encrypt)
        swap_all(blocks, cipher, count);
    text->hash = len < VECTOR ? hash_few(key, text->hash, cipher[0], len)
                              : hash_vectors(key, text->hash, cipher, count);
    advance(text, len);
}

/* Everything so far comes before everything that follows. clang puts all rounds first, and all products
 * behind the branch for longer keys, so that the processor does one after the other. */
INLINE void keep_beside(vector stream[], struct product *product)
{
    __asm__ volatile(""
                     : "+v"(stream[0]), "+v"(stream[1]), "+v"(stream[2]), "+v"(stream[3]), "+v"(stream[4]),
                     "+v"(stream[5]), "+v"(stream[6]), "+v"(stream[7]), "+v"(product->low),
                     "+v"(product->middle), "+v"(product->high));
}

/* Nor do the products of these come before it: gcc 14 puts them all in front of the rounds otherwise. */
INLINE void keep_behind(vector hashed[])
{
    __asm__ volatile("" : "+v"(hashed[0]), "+v"(hashed[1]), "+v"(hashed[2]), "+v"(hashed[3]));
}

/* And the hash before what follows: clang reduces it behind all rounds, where the next products wait. */
INLINE void keep_before(vector stream[], __m128i *hash)
{
    __asm__ volatile(""
                     : "+v"(stream[0]), "+v"(stream[1]), "+v"(stream[2]), "+v"(stream[3]), "+v"(stream[4]),
                     "+v"(stream[5]), "+v"(stream[6]), "+v"(stream[7]), "+v"(*hash));
}

/* The key stream of WIDEST registers, and between its rounds the hash of as many others. */
INLINE void crypt_beside_hash(const struct vaes_gcm_key *key, struct text *text, struct counters *counters,
    vector stream[], vector hashed[])
{
    struct round_keys keys = round_keys_of(key);
    struct product product = no_product();

    load_all(counters->blocks, stream, WIDEST, POWERS);
    write_counters(counters);
    hashed[0] = xor_vectors(hashed[0], _mm512_zextsi128_si512(text->hash));
    EACH (i, WIDEST) {
        encrypt_round_all(keys, stream, WIDEST, i + 1);
        hash_one(key, &product, hashed, WIDEST, i);
        if (i % 4 == 3)
            keep_beside(stream, &product);
        if (i == 3)
            keep_behind(hashed + 4);
    }
    text->hash = sum_of_lanes(reduce(product));
    encrypt_round_all(keys, stream, WIDEST, WIDEST + 1);
    if (keys.rounds > 10)
        keep_before(stream, &text->hash);
    LONG_KEY_ROUNDS(encrypt_round_all, keys, stream, WIDEST);
    encrypt_last_round_all(keys, stream, WIDEST);
}

/* Of a text of POWERS bytes or more, WIDEST registers at a time. To decrypt, they are hashed as they come. */
TARGET static struct text decrypt_long(const struct vaes_gcm_key *key, struct text text)
{
    size_t len = text.len;
    struct counters counters;

    begin_counters(key, &text, &counters);
    write_counters(&counters);
    while (text.len >= POWERS) {
        vector stream[WIDEST], blocks[WIDEST], cipher[WIDEST];

        load_all(text.in, blocks, WIDEST, POWERS);
        swap_all(blocks, cipher, WIDEST);
        crypt_beside_hash(key, &text, &counters, stream, cipher);
        load_all(text.in, blocks, WIDEST, POWERS); /* again: there are not so many registers */
        xor_all(stream, blocks, WIDEST);
        store_all(text.out, stream, WIDEST, POWERS);
        advance(&text, POWERS);
    }
    end_counters(&counters, &text, len - text.len);
    return text;
}

/* What comes out is hashed beside the next ones' rounds. */
TARGET static struct text encrypt_long(const struct vaes_gcm_key *key, struct text text)
{
    size_t len = text.len;
    vector stream[WIDEST], blocks[WIDEST], cipher[WIDEST];
    struct counters counters;

    count_on(&text, stream, WIDEST);
    begin_counters(key, &text, &counters);
    encrypt_beside_counters(key, &counters, stream);
    for (;;) {
        load_all(text.in, blocks, WIDEST, POWERS);
        xor_all(blocks, stream, WIDEST);
        store_all(text.out, blocks, WIDEST, POWERS);
        advance(&text, POWERS);
        swap_all(blocks, cipher, WIDEST);
        if (text.len < POWERS)
            break;
        crypt_beside_hash(key, &text, &counters, stream, cipher);
    }
    text.hash = hash_vectors(key, text.hash, cipher, WIDEST);
    end_counters(&counters, &text, len - text.len - POWERS);
    return text;
}

/* Whole blocks. */
INLINE __m128i crypt_blocks(const struct vaes_gcm_key *key, struct text text, bool encrypt)
{
    if (text.len >= POWERS)
        text = encrypt ? encrypt_long(key, text) : decrypt_long(key, text);
    if (text.len >= SOME * VECTOR)
        crypt_registers(key, &text, SOME, SOME * VECTOR, encrypt);
    while (text.len >= VECTOR)
        crypt_registers(key, &text, 1, VECTOR, encrypt);
    if (text.len > 0)
        crypt_registers(key, &text, 1, text.len, encrypt);
    return text.hash;
}

/* Up to len bytes of the block that begins with gcm->text_len or has begun before it. Returns how many. */
TARGET static size_t crypt_bytes(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    size_t at = gcm->text_len % BLOCK, done = 0;
    __m128i counter = swapped(load_block(gcm->counters));
    uint8_t stream[BLOCK];

    counter = _mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, (int)(uint32_t)(gcm->text_len / BLOCK + 1)));
    store_block(stream, encrypt_block(key, swapped(counter)));
    for (; done < len && at < BLOCK; done++, at++) {
        uint8_t before = in[done];

        out[done] = before ^ stream[at];
        gcm->hash[at] ^= encrypt ? out[done] : before;
    }
    x86_cleanse_block(stream);
    gcm->text_len += done;
    if (at == BLOCK)
        store_block(gcm->hash, swapped(hash_added(key, swapped(load_block(gcm->hash)))));
    return done;
}

/* All bytes of the first piece of a message, in count registers, the last of which may be no full ones. Its
 * ciphertext waits to be hashed. */
INLINE void crypt_short(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in,
    size_t len, unsigned count, bool encrypt)
{
    struct text text = {.counters = counters_from(gcm, 1)};
    vector stream[SOME];

    count_on(&text, stream, count);
    encrypt_all(round_keys_of(key), stream, count);
    store_block(gcm->mask, encrypt_block(key, load_block(gcm->counters)));
    EACH (i, count) {
        size_t at = i * VECTOR;
        __mmask64 there;
        vector before, after;

        if (len <= at)
            break;
        there = len - at >= VECTOR ? UINT64_MAX : first_bytes(len - at);
        before = _mm512_maskz_loadu_epi8(there, in + at);
        after = _mm512_maskz_mov_epi8(there, xor_vectors(before, stream[i]));

        _mm512_mask_storeu_epi8(out + at, there, after);
        _mm512_store_si512(gcm->text + at, encrypt ? after : before);
    }
    gcm->text_len = len;
}

TARGET static __attribute__((noinline)) bool crypt_in_one_register(const struct vaes_gcm_key *key,
    struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    crypt_short(key, gcm, out, in, len, 1, encrypt);
    return true;
}

TARGET static __attribute__((noinline)) bool crypt_in_some_registers(const struct vaes_gcm_key *key,
    struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    crypt_short(key, gcm, out, in, len, SOME, encrypt);
    return true;
}

TARGET static bool crypt_pieces(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    size_t done = gcm->text_len % BLOCK == 0 ? 0 : crypt_bytes(key, gcm, out, in, len, encrypt);
    size_t whole = (len - done) - (len - done) % BLOCK;

    if (whole > 0) {
        struct text text = {.out = out + done, .in = in + done, .len = whole};

        text.hash = swapped(load_block(gcm->hash));
        text.counters = counters_from(gcm, (int)(uint32_t)(gcm->text_len / BLOCK + 1));
        text.hash = encrypt ? crypt_blocks(key, text, true) : crypt_blocks(key, text, false);
        store_block(gcm->hash, swapped(text.hash));
        gcm->text_len += whole;
        done += whole;
    }
    if (done < len)
        crypt_bytes(key, gcm, out + done, in + done, len - done, encrypt);
    return true;
}

/* A block that follows whole blocks, hashed at once. */
TARGET static __attribute__((noinline)) bool crypt_one_block(
    const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in, bool encrypt)
{
    __m128i counter = swapped(load_block(gcm->counters)), before = load_block(in), after;

    counter = _mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, (int)(uint32_t)(gcm->text_len / BLOCK + 1)));
    after = _mm_xor_si128(before, encrypt_block(key, swapped(counter)));
    store_block(out, after);
    store_block(gcm->hash,
        swapped(hash_block(key, swapped(load_block(gcm->hash)), swapped(encrypt ? after : before))));
    gcm->text_len += BLOCK;
    return true;
}

/* A full register that follows whole blocks: without the room that crypt_pieces() takes for longer texts. */
TARGET static __attribute__((noinline)) bool crypt_one_register(
    const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out, const uint8_t *in, bool encrypt)
{
    struct text text = {out, in, VECTOR, swapped(load_block(gcm->hash)),
        counters_from(gcm, (int)(uint32_t)(gcm->text_len / BLOCK + 1))};

    crypt_registers(key, &text, 1, VECTOR, encrypt);
    store_block(gcm->hash, swapped(text.hash));
    gcm->text_len += VECTOR;
    return true;
}

/* A text that ends the waiting, or has no usual length. */
TARGET static __attribute__((noinline)) bool crypt_any(const struct vaes_gcm_key *key, struct vaes_gcm *gcm,
    uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    if (gcm->waits)
        end_waiting(key, gcm);
    return crypt_pieces(key, gcm, out, in, len, encrypt);
}

/* Each of them is a function of its own, so that the shorter ones do not take the stack of the longer. */
TARGET bool vaes_gcm_text(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    bool follows_blocks = !gcm->waits && gcm->text_len % BLOCK == 0;

    if (follows_blocks && len == BLOCK)
        return crypt_one_block(key, gcm, out, in, encrypt);
    if (follows_blocks && len == VECTOR)
        return crypt_one_register(key, gcm, out, in, encrypt);
    if (gcm->waits && gcm->text_len == 0 && len <= VECTOR)
        return crypt_in_one_register(key, gcm, out, in, len, encrypt);
    if (gcm->waits && gcm->text_len == 0 && len <= VAES_GCM_SHORT)
        return crypt_in_some_registers(key, gcm, out, in, len, encrypt);
    return crypt_any(key, gcm, out, in, len, encrypt);
}

/* Everything that waits, and the lengths behind it. */
INLINE __m128i hash_waiting(const struct vaes_gcm_key *key, const struct vaes_gcm *gcm)
{
    vector lengths = spread(lengths_block(gcm->aad_len, gcm->text_len));
    struct product product = no_product();
    size_t left = blocks_in(gcm->text_len) + 1, aad = blocks_in(gcm->aad_len);
    const uint8_t *text = gcm->text;

    if (aad > 0)
        hash_some(key, &product, swap_bytes(_mm512_load_si512(gcm->aad)), aad, aad + left);
    for (; left > 4; left -= 4, text += VECTOR)
        hash_some(key, &product, swap_bytes(_mm512_load_si512(text)), 4, left);
    if (left > 1)
        lengths = _mm512_mask_mov_epi64(
            lengths, (__mmask8)((1u << 2 * (left - 1)) - 1), swap_bytes(_mm512_load_si512(text)));
    hash_some(key, &product, lengths, left, left);
    return sum_of_lanes(reduce(product));
}

TARGET void vaes_gcm_end(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t tag[16])
{
    __m128i hash, mask;

    if (gcm->waits && gcm->text_len > 0)
        mask = load_block(gcm->mask);
    else
        mask = encrypt_block(key, load_block(gcm->counters));
    if (gcm->waits) {
        hash = hash_waiting(key, gcm);
    } else {
        hash = swapped(load_block(gcm->hash));
        if (gcm->text_len % BLOCK != 0)
            hash = hash_added(key, hash);
        hash = hash_lengths(key, hash, gcm->aad_len, gcm->text_len);
    }
    store_block(tag, _mm_xor_si128(swapped(hash), mask));
    x86_cleanse(gcm, offsetof(struct vaes_gcm, aad));
}
