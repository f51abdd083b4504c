/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM, up to 32 blocks at a time: while counters are encrypted, ciphertext is hashed between the rounds,
 * so that the processor has both to do at once. The hash of so many blocks is a sum of products with as many
 * powers of its key, reduced once.
 *
 * What depends on data or keys are the operands of instructions, never an address or a branch.
 */
#include "x86_vaes_gcm.h"

#include <string.h>

#include "x86_vaes.h"

#define BLOCK 16u
#define WIDEST 8u /* registers at a time: AES instructions of some can wait for the hash of others */
#define POWERS (VAES_GCM_POWERS * BLOCK) /* bytes; as many as WIDEST registers */

/* ----------------------------------------------------------------------------------------------- the field
 *
 * Blocks are numbers with their bits in the reverse of GCM's order: bytes swapped on the way in, and what is
 * left of the reversal is a factor of x, which the powers of the key carry (S. Gueron, M. Kounavis, "Intel
 * Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode", 2014, and later practice).
 */

/* Sums of products, of four lanes each, not reduced: low, middle and high 128 bits of 256, overlapping. */
struct product {
    __m512i low, middle, high;
};

/* x^128 + x^127 + x^126 + x^121 + 1, reversed, without its highest term. */
VAES_INLINE __m512i polynomial(void)
{
    return _mm512_broadcast_i32x4(_mm_set_epi64x((long long)0xc200000000000000, 1));
}

VAES_INLINE struct product no_product(void)
{
    return (struct product){_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
}

VAES_INLINE __m512i halves_added(__m512i vector)
{
    return _mm512_xor_si512(vector, vaes_swap_halves(vector));
}

/* Add vector times power; sum is power's upper half plus its lower one (Karatsuba: three products for four).
 * The middle one still has the other two in it. */
VAES_INLINE void multiply_add(struct product *product, __m512i vector, __m512i power, __m512i sum)
{
    __m512i halves = halves_added(vector);

    product->low = _mm512_xor_si512(product->low, _mm512_clmulepi64_epi128(vector, power, 0x00));
    product->high = _mm512_xor_si512(product->high, _mm512_clmulepi64_epi128(vector, power, 0x11));
    product->middle = _mm512_xor_si512(product->middle, _mm512_clmulepi64_epi128(halves, sum, 0x00));
}

/* Modulo the polynomial, lane by lane: twice, the lowest 64 bits go up by 128 bits. */
VAES_INLINE __m512i reduce(struct product product)
{
    __m512i middle = vaes_sum_of_three(product.middle, product.low, product.high);
    __m512i folded = _mm512_clmulepi64_epi128(polynomial(), product.low, 0x01);

    middle = vaes_sum_of_three(middle, vaes_swap_halves(product.low), folded);
    folded = _mm512_clmulepi64_epi128(polynomial(), middle, 0x01);
    return vaes_sum_of_three(product.high, vaes_swap_halves(middle), folded);
}

VAES_INLINE __m128i sum_of_lanes(__m512i vector)
{
    __m256i two = _mm256_xor_si256(_mm512_castsi512_si256(vector), _mm512_extracti64x4_epi64(vector, 1));

    return _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}

VAES_INLINE __m512i multiply(__m512i vector, __m512i power)
{
    struct product product = no_product();

    multiply_add(&product, vector, power, halves_added(power));
    return reduce(product);
}

/* --------------------------------------------------------------------------------------------------- keys
 */

VAES_INLINE struct round_keys round_keys_of(const struct vaes_gcm_key *key)
{
    return (struct round_keys){(const __m128i *)key->round_keys, key->rounds};
}

VAES_INLINE __m128i swapped(__m128i block)
{
    return _mm512_castsi512_si128(vaes_swap_bytes(_mm512_castsi128_si512(block)));
}

VAES_INLINE __m128i encrypt_block(const struct vaes_gcm_key *key, __m128i block)
{
    __m512i vector = _mm512_castsi128_si512(block);

    vaes_encrypt(round_keys_of(key), &vector, 1);
    return _mm512_castsi512_si128(vector);
}

/* Times x; what is shifted out at the top comes back as the polynomial. */
VAES_INLINE __m128i times_x(__m128i block)
{
    __m128i carries = _mm_srai_epi32(_mm_shuffle_epi32(block, 0xd3), 31);
    __m128i back = _mm_set_epi64x((long long)0xc200000000000001, 1); /* with the carry between the halves */

    return _mm_xor_si128(_mm_add_epi64(block, block), _mm_and_si128(carries, back));
}

/* The powers count up from the end, four to a vector: each vector is the one behind it times the fourth. */
WITH_VAES void vaes_gcm_make_powers(struct vaes_gcm_key *key)
{
    __m128i first = times_x(swapped(encrypt_block(key, _mm_setzero_si128())));
    __m512i all = _mm512_broadcast_i32x4(first), fourth, powers;

    powers = multiply(all, all);                                        /* 2 */
    powers = _mm512_mask_mov_epi64(powers, 0xc0, all);                  /* 2, 2, 2, 1 */
    fourth = multiply(powers, _mm512_shuffle_i64x2(powers, powers, 0)); /* 4, 4, 4, 3 */
    powers = _mm512_shuffle_i64x2(fourth, powers, 0xec);                /* 4, 3, 2, 1 */
    fourth = _mm512_shuffle_i64x2(fourth, fourth, 0);
    for (unsigned i = VAES_GCM_POWERS / 4; i-- > 0; powers = multiply(powers, fourth)) {
        _mm512_store_si512(key->powers + i * VAES_VECTOR, powers);
        _mm512_store_si512(key->sums + i * VAES_VECTOR, halves_added(powers));
    }
}

/* --------------------------------------------------------------------------------------------------- hash
 */

/* The product of register i of count with its powers: the last one's last block has the first power. */
VAES_INLINE void hash_one(const struct vaes_gcm_key *key, struct product *product, const __m512i vector[],
    unsigned count, unsigned i)
{
    size_t at = POWERS - (count - i) * VAES_VECTOR;

    multiply_add(product, vector[i], _mm512_load_si512(key->powers + at), _mm512_load_si512(key->sums + at));
}

/* The hash so far goes into the first of count registers' blocks, which are swapped; together they make the
 * next. */
VAES_INLINE __m128i hash_vectors(
    const struct vaes_gcm_key *key, __m128i hash, __m512i vector[], unsigned count)
{
    struct product product = no_product();

    vector[0] = _mm512_xor_si512(vector[0], _mm512_zextsi128_si512(hash));
    EACH (i, count)
        hash_one(key, &product, vector, count, i);
    return sum_of_lanes(reduce(product));
}

/* One register with less than four blocks: the powers that do not belong to any meet zeros. */
VAES_INLINE __m128i hash_few(const struct vaes_gcm_key *key, __m128i hash, __m512i vector, size_t len)
{
    size_t blocks = (len + BLOCK - 1) / BLOCK * BLOCK, behind = POWERS - blocks;
    __mmask64 first = vaes_first(blocks);
    struct product product = no_product();

    vector = _mm512_xor_si512(vector, _mm512_zextsi128_si512(hash));
    multiply_add(&product, vector, _mm512_maskz_loadu_epi8(first, key->powers + behind),
        _mm512_maskz_loadu_epi8(first, key->sums + behind));
    return sum_of_lanes(reduce(product));
}

/* Bytes that no other text follows: the last block is filled up with zeros. */
WITH_VAES static __m128i hash_bytes(
    const struct vaes_gcm_key *key, __m128i hash, const uint8_t *bytes, size_t len)
{
    __m512i vector;

    for (; len >= VAES_VECTOR; bytes += VAES_VECTOR, len -= VAES_VECTOR) {
        vector = vaes_swap_bytes(_mm512_loadu_si512(bytes));
        hash = hash_vectors(key, hash, &vector, 1);
    }
    if (len > 0) {
        vaes_take(bytes, &vector, 1, len);
        hash = hash_few(key, hash, vaes_swap_bytes(vector), len);
    }
    return hash;
}

/* The end of a block that was already added to the hash. */
VAES_INLINE __m128i hash_added(const struct vaes_gcm_key *key, __m128i hash)
{
    return hash_few(key, hash, _mm512_setzero_si512(), BLOCK);
}

/* A block of two lengths, in bytes, at the end of what is hashed. */
VAES_INLINE __m128i hash_lengths(const struct vaes_gcm_key *key, __m128i hash, uint64_t one, uint64_t two)
{
    __m128i lengths = _mm_set_epi64x((long long)(one * 8), (long long)(two * 8));

    return hash_few(key, hash, _mm512_zextsi128_si512(lengths), BLOCK);
}

/* -------------------------------------------------------------------------------------------------- message
 */

VAES_INLINE __m128i load(const uint8_t *block)
{
    return _mm_loadu_si128((const __m128i *)block);
}

VAES_INLINE void store(uint8_t *out, __m128i block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

WITH_VAES void vaes_gcm_begin(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, const uint8_t *iv,
    size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    static const uint8_t one[4] = {0, 0, 0, 1};

    if (iv_len == 12) {
        memcpy(gcm->counters, iv, 12);
        memcpy(gcm->counters + 12, one, 4);
    } else {
        __m128i hash = hash_bytes(key, _mm_setzero_si128(), iv, iv_len);

        store(gcm->counters, swapped(hash_lengths(key, hash, 0, iv_len)));
    }
    store(gcm->hash, swapped(hash_bytes(key, _mm_setzero_si128(), aad, aad_len)));
    gcm->aad_len = aad_len;
    gcm->text_len = 0;
}

/* What is done in one call: where it is, and hash and next counter as numbers. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    __m128i hash;
    __m512i counters; /* of the next four blocks */
};

VAES_INLINE void advance(struct text *text, size_t len)
{
    text->in += len;
    text->out += len;
    text->len -= len;
}

/* Counter blocks for count registers. */
VAES_INLINE void count_on(struct text *text, __m512i stream[], unsigned count)
{
    const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4));

    EACH (i, count) {
        stream[i] = vaes_swap_bytes(text->counters);
        text->counters = _mm512_add_epi32(text->counters, four);
    }
}

VAES_INLINE void swap_all(const __m512i vector[], __m512i swapped[], unsigned count)
{
    EACH (i, count)
        swapped[i] = vaes_swap_bytes(vector[i]);
}

/* count registers of text, len bytes, with their key stream; their ciphertext is hashed. */
VAES_INLINE void crypt(
    const struct vaes_gcm_key *key, struct text *text, unsigned count, size_t len, bool encrypt)
{
    __m512i stream[VAES_WIDE], vector[VAES_WIDE], cipher[VAES_WIDE];

    count_on(text, stream, count);
    vaes_encrypt(round_keys_of(key), stream, count);
    vaes_take(text->in, vector, count, len);
    swap_all(vector, cipher, count);
    vaes_add(vector, stream, count);
    vaes_put(text->out, vector, count, len);
    if (encrypt)
        swap_all(vector, cipher, count);
    text->hash = len < VAES_VECTOR ? hash_few(key, text->hash, cipher[0], len)
                                   : hash_vectors(key, text->hash, cipher, count);
    advance(text, len);
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

VAES_INLINE void write_counters(struct counters *counters)
{
    _Pragma("GCC unroll 32") for (uint32_t i = 0; i < VAES_GCM_POWERS; i++)
    {
        uint32_t last = __builtin_bswap32(counters->next + i) ^ counters->key;

        memcpy(counters->blocks + i * BLOCK + 12, &last, sizeof(last));
    }
    counters->next += VAES_GCM_POWERS;
}

VAES_INLINE void begin_counters(
    const struct vaes_gcm_key *key, const struct text *text, struct counters *counters)
{
    __m512i some = _mm512_xor_si512(vaes_swap_bytes(text->counters), vaes_round_key(round_keys_of(key), 0));

    EACH (i, WIDEST)
        _mm512_store_si512(counters->blocks + i * VAES_VECTOR, some);
    counters->next = (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(text->counters));
    counters->key = key->round_keys[3];
    write_counters(counters);
}

/* done: how many bytes of text they were for. */
VAES_INLINE void end_counters(struct counters *counters, struct text *text, size_t done)
{
    text->counters = _mm512_add_epi32(
        text->counters, _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, (int)(uint32_t)(done / BLOCK))));
    EACH (i, WIDEST)
        _mm512_store_si512(counters->blocks + i * VAES_VECTOR, _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(counters) : "memory"); /* the key must not stay: this is not for nothing */
}

/* The key stream of WIDEST registers, and between its rounds the hash of as many others. */
VAES_INLINE void crypt_beside_hash(const struct vaes_gcm_key *key, struct text *text,
    struct counters *counters, __m512i stream[], __m512i hashed[])
{
    struct round_keys keys = round_keys_of(key);
    struct product product = no_product();

    vaes_take(counters->blocks, stream, WIDEST, POWERS);
    write_counters(counters);
    hashed[0] = _mm512_xor_si512(hashed[0], _mm512_zextsi128_si512(text->hash));
    EACH (i, WIDEST) {
        vaes_encrypt_round(keys, stream, WIDEST, i + 1);
        hash_one(key, &product, hashed, WIDEST, i);
    }
    text->hash = sum_of_lanes(reduce(product));
    vaes_encrypt_round(keys, stream, WIDEST, WIDEST + 1);
    LONG_KEY_ROUNDS(vaes_encrypt_round, keys, stream, WIDEST);
    vaes_encrypt_last(keys, stream, WIDEST);
}

/* Of a long text, WIDEST registers at a time. To decrypt, they are hashed as they come. */
WITH_VAES static struct text decrypt_long(const struct vaes_gcm_key *key, struct text text)
{
    size_t len = text.len;
    struct counters counters;

    if (len < POWERS)
        return text;
    begin_counters(key, &text, &counters);
    while (text.len >= POWERS) {
        __m512i stream[WIDEST], vector[WIDEST], cipher[WIDEST];

        vaes_take(text.in, vector, WIDEST, POWERS);
        swap_all(vector, cipher, WIDEST);
        crypt_beside_hash(key, &text, &counters, stream, cipher);
        vaes_take(text.in, vector, WIDEST, POWERS); /* again: there are not so many registers */
        vaes_add(stream, vector, WIDEST);
        vaes_put(text.out, stream, WIDEST, POWERS);
        advance(&text, POWERS);
    }
    end_counters(&counters, &text, len - text.len);
    return text;
}

/* What comes out is hashed beside the next ones' rounds. */
WITH_VAES static struct text encrypt_long(const struct vaes_gcm_key *key, struct text text)
{
    size_t len = text.len;
    __m512i stream[WIDEST], vector[WIDEST], cipher[WIDEST];
    struct counters counters;

    if (len < POWERS)
        return text;
    count_on(&text, stream, WIDEST);
    begin_counters(key, &text, &counters);
    vaes_encrypt(round_keys_of(key), stream, WIDEST);
    for (;;) {
        vaes_take(text.in, vector, WIDEST, POWERS);
        vaes_add(vector, stream, WIDEST);
        vaes_put(text.out, vector, WIDEST, POWERS);
        advance(&text, POWERS);
        swap_all(vector, cipher, WIDEST);
        if (text.len < POWERS)
            break;
        crypt_beside_hash(key, &text, &counters, stream, cipher);
    }
    text.hash = hash_vectors(key, text.hash, cipher, WIDEST);
    end_counters(&counters, &text, len - text.len - POWERS);
    return text;
}

/* Whole blocks. */
VAES_INLINE __m128i crypt_blocks(const struct vaes_gcm_key *key, struct text text, bool encrypt)
{
    text = encrypt ? encrypt_long(key, text) : decrypt_long(key, text);
    if (text.len >= VAES_WIDE * VAES_VECTOR)
        crypt(key, &text, VAES_WIDE, VAES_WIDE * VAES_VECTOR, encrypt);
    while (text.len >= VAES_VECTOR)
        crypt(key, &text, 1, VAES_VECTOR, encrypt);
    if (text.len > 0)
        crypt(key, &text, 1, text.len, encrypt);
    return text.hash;
}

/* Up to len bytes of the block that begins with gcm->text_len or has begun before it. Returns how many. */
WITH_VAES static size_t crypt_bytes(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    size_t at = gcm->text_len % BLOCK, done = 0;
    __m128i counter = swapped(load(gcm->counters));
    uint8_t stream[BLOCK];

    counter = _mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, (int)(uint32_t)(gcm->text_len / BLOCK + 1)));
    store(stream, encrypt_block(key, swapped(counter)));
    for (; done < len && at < BLOCK; done++, at++) {
        uint8_t before = in[done];

        out[done] = before ^ stream[at];
        gcm->hash[at] ^= encrypt ? out[done] : before;
    }
    imb_cleanse_block(stream);
    gcm->text_len += done;
    if (at == BLOCK)
        store(gcm->hash, swapped(hash_added(key, swapped(load(gcm->hash)))));
    return done;
}

WITH_VAES void vaes_gcm_text(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    size_t done = gcm->text_len % BLOCK == 0 ? 0 : crypt_bytes(key, gcm, out, in, len, encrypt);
    size_t whole = (len - done) - (len - done) % BLOCK;

    if (whole > 0) {
        struct text text = {.out = out + done, .in = in + done, .len = whole};
        int next = (int)(uint32_t)(gcm->text_len / BLOCK + 1);

        text.hash = swapped(load(gcm->hash));
        text.counters = _mm512_add_epi32(vaes_swap_bytes(vaes_four_times(gcm->counters)),
            _mm512_set_epi32(0, 0, 0, next + 3, 0, 0, 0, next + 2, 0, 0, 0, next + 1, 0, 0, 0, next));
        text.hash = encrypt ? crypt_blocks(key, text, true) : crypt_blocks(key, text, false);
        store(gcm->hash, swapped(text.hash));
        gcm->text_len += whole;
        done += whole;
    }
    if (done < len)
        crypt_bytes(key, gcm, out + done, in + done, len - done, encrypt);
}

WITH_VAES void vaes_gcm_end(const struct vaes_gcm_key *key, struct vaes_gcm *gcm, uint8_t tag[16])
{
    __m128i hash = swapped(load(gcm->hash));

    if (gcm->text_len % BLOCK != 0)
        hash = hash_added(key, hash);
    hash = hash_lengths(key, hash, gcm->aad_len, gcm->text_len);
    store(tag, _mm_xor_si128(swapped(hash), encrypt_block(key, load(gcm->counters))));
}
