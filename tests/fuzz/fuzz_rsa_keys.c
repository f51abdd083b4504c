/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: keys. Numbers that do not make a key, or not quite, in any order and with some missing,
 * changed between operations. Both the engine's RSA_METHOD and the device's own interface are given them. The
 * property: refused with an error, or computed; where libcrypto computes too, the results are the same.
 */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "ersatz/device.h"
#include "fuzz.h"
#include "keys.h"

#define NUMBERS 8u /* n, e, d, p, q, dmp1, dmq1, iqmp */
#define NUMBER_BYTES_MAX 96
#define CHANGES_MAX 4u

typedef int rsa_fn(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding);

static struct ersatz_stats stats;
static RSA *good; /* a key of 512 bits, which the numbers start from: large ones only cost time */

static void good_numbers(const BIGNUM *numbers[NUMBERS])
{
    RSA_get0_key(good, &numbers[0], &numbers[1], &numbers[2]);
    RSA_get0_factors(good, &numbers[3], &numbers[4]);
    RSA_get0_crt_params(good, &numbers[5], &numbers[6], &numbers[7]);
}

/* The good number, one near it, one of the input's own, or none. */
static BIGNUM *make_number(struct fuzz_input *input, const BIGNUM *from)
{
    uint8_t bytes[NUMBER_BYTES_MAX];
    unsigned what = fuzz_byte(input);
    BIGNUM *number;
    int len;

    switch (what % 8) {
    case 0:
        return NULL;
    case 1:
        len = (int)fuzz_number(input, NUMBER_BYTES_MAX);
        fuzz_fill(input, bytes, (size_t)len);
        return BN_bin2bn(bytes, len, NULL);
    case 2:
        len = (int)fuzz_number(input, 8);
        fuzz_take(input, bytes, (size_t)len);
        return BN_bin2bn(bytes, len, NULL);
    case 3:
        number = BN_dup(from);
        BN_add_word(number, fuzz_byte(input));
        return number;
    case 4:
        number = BN_dup(from);
        if (BN_is_bit_set(number, (int)what))
            BN_clear_bit(number, (int)what);
        else
            BN_set_bit(number, (int)what);
        return number;
    default:
        return BN_dup(from);
    }
}

/* The setters take what they are given, or leave it. */
static void set_numbers(struct fuzz_input *input, RSA *card)
{
    const BIGNUM *from[NUMBERS];
    BIGNUM *own[NUMBERS];
    int taken[NUMBERS];

    good_numbers(from);
    for (unsigned i = 0; i < NUMBERS; i++) {
        own[i] = make_number(input, from[i]);
        fuzz_trace("%c is %s: %d bits", "nedpqPQi"[i],
            own[i] == NULL                 ? "missing"
            : BN_cmp(own[i], from[i]) == 0 ? "good"
                                           : "changed",
            own[i] == NULL ? 0 : BN_num_bits(own[i]));
    }
    taken[0] = taken[1] = taken[2] = RSA_set0_key(card, own[0], own[1], own[2]);
    taken[3] = taken[4] = RSA_set0_factors(card, own[3], own[4]);
    taken[5] = taken[6] = taken[7] = RSA_set0_crt_params(card, own[5], own[6], own[7]);
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (!taken[i])
            BN_free(own[i]);
    }
}

static BIGNUM *copy_of(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

/* The same numbers in a key of libcrypto's. A new one each time: libcrypto goes on with what it computed from
 * a modulus that is no longer the key's. */
static RSA *make_plain(const RSA *card)
{
    RSA *plain = RSA_new();

    RSA_set_method(plain, RSA_PKCS1_OpenSSL());
    FUZZ_SAME(
        RSA_set0_key(plain, copy_of(RSA_get0_n(card)), copy_of(RSA_get0_e(card)), copy_of(RSA_get0_d(card))));
    if (RSA_get0_p(card) != NULL && RSA_get0_q(card) != NULL)
        RSA_set0_factors(plain, copy_of(RSA_get0_p(card)), copy_of(RSA_get0_q(card)));
    if (RSA_get0_dmp1(card) != NULL && RSA_get0_dmq1(card) != NULL && RSA_get0_iqmp(card) != NULL)
        RSA_set0_crt_params(
            plain, copy_of(RSA_get0_dmp1(card)), copy_of(RSA_get0_dmq1(card)), copy_of(RSA_get0_iqmp(card)));
    return plain;
}

/* Whether the input has one root, and the exponent d, if the key comes to it, finds it. */
static bool has_answer(const RSA *rsa)
{
    const BIGNUM *numbers[NUMBERS];

    good_numbers(numbers);
    return BN_cmp(RSA_get0_n(rsa), numbers[0]) == 0 && BN_cmp(RSA_get0_e(rsa), numbers[1]) == 0 &&
           RSA_get0_d(rsa) != NULL && BN_cmp(RSA_get0_d(rsa), numbers[2]) == 0;
}

static void operate(struct fuzz_input *input, RSA *card)
{
    uint8_t in[NUMBER_BYTES_MAX + 8], card_out[NUMBER_BYTES_MAX + 8], plain_out[NUMBER_BYTES_MAX + 8];
    bool is_private = (fuzz_byte(input) & 1) != 0;
    rsa_fn *function = is_private ? RSA_private_encrypt : RSA_public_encrypt;
    int size, card_len, plain_len;
    RSA *plain;

    /* RSA_size() follows a NULL; and shorter keys stay with libcrypto, which goes on with an older
     * modulus. */
    if (RSA_get0_n(card) == NULL || RSA_bits(card) < 512)
        return;
    size = RSA_size(card);
    fuzz_fill(input, in, (size_t)size);
    in[0] &= 0x0f;
    ERR_clear_error();
    card_len = function(size, in, card_out, card, RSA_NO_PADDING);
    FUZZ_SAME(card_len > 0 || ERR_peek_error() != 0);
    if (is_private && !has_answer(card))
        return;
    plain = make_plain(card);
    plain_len = function(size, in, plain_out, plain, RSA_NO_PADDING);
    fuzz_trace("%s of %d bytes: %d and %d", is_private ? "private" : "public", size, card_len, plain_len);
    FUZZ_SAME((card_len > 0) == (plain_len > 0));
    if (card_len > 0)
        FUZZ_SAME(card_len == plain_len && memcmp(card_out, plain_out, (size_t)card_len) == 0);
    if (card_len > 0 && is_private)
        FUZZ_SAME(RSA_public_encrypt(size, card_out, plain_out, good, RSA_NO_PADDING) == size &&
                  memcmp(plain_out, in, (size_t)size) == 0);
    RSA_free(plain);
}

/* The device's own door: numbers as bytes, leading zeros, no order, no sense. */
static void knock(struct fuzz_input *input)
{
    struct ersatz_rsa_numbers numbers = {.extra_primes = 0};
    struct ersatz_bytes *const parts[NUMBERS] = {&numbers.n, &numbers.e, &numbers.d, &numbers.p, &numbers.q,
        &numbers.dmp1, &numbers.dmq1, &numbers.iqmp};
    uint8_t bytes[NUMBERS + 3][NUMBER_BYTES_MAX], in[NUMBER_BYTES_MAX], out[NUMBER_BYTES_MAX];
    const BIGNUM *from[NUMBERS];
    struct ersatz_rsa_key *key;

    good_numbers(from);
    for (unsigned i = 0; i < NUMBERS; i++) {
        BIGNUM *number = make_number(input, from[i]);

        if (number == NULL)
            continue;
        parts[i]->len = (size_t)BN_num_bytes(number) + (fuzz_byte(input) & 1);
        if (parts[i]->len <= NUMBER_BYTES_MAX) {
            BN_bn2binpad(number, bytes[i], (int)parts[i]->len);
            parts[i]->data = bytes[i];
        }
        BN_free(number);
    }
    if (fuzz_byte(input) % 4 == 3) {
        struct ersatz_bytes *const extra[3] = {&numbers.extra[0].r, &numbers.extra[0].d, &numbers.extra[0].t};

        numbers.extra_primes = 1 + (fuzz_byte(input) & 3);
        for (unsigned i = 0; i < 3; i++) {
            fuzz_fill(input, bytes[NUMBERS + i], 20);
            *extra[i] = (struct ersatz_bytes){bytes[NUMBERS + i], fuzz_number(input, 20)};
        }
    }
    if (ersatz_rsa_key_new(&numbers, &key) != ERSATZ_OK) {
        FUZZ_SAME(key == NULL);
        return;
    }
    FUZZ_SAME(ersatz_rsa_key_size(key) <= NUMBER_BYTES_MAX);
    fuzz_fill(input, in, ersatz_rsa_key_size(key));
    for (enum ersatz_op_kind kind = ERSATZ_RSA_PRIVATE; kind <= ERSATZ_RSA_PUBLIC; kind++) {
        struct ersatz_op op = {.kind = kind, .u.rsa = {.key = key, .in = in, .out = out}};

        ersatz_compute(&op, &stats);
        ERR_clear_error();
    }
    ersatz_rsa_key_free(key);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    BIO *bio = BIO_new_mem_buf(fuzz_keys[0], -1);

    (void)argc;
    (void)argv;
    good = PEM_read_bio_RSAPrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    fuzz_engine();
    return good == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned what = fuzz_byte(&input);
    RSA *card;

    fuzz_choose_kernels(what >> 6);
    if ((what & 3) == 3) {
        knock(&input);
        return 0;
    }
    card = RSA_new_method(fuzz_engine());
    for (unsigned changes = 0; input.left > 0 && changes < CHANGES_MAX; changes++) {
        set_numbers(&input, card);
        if ((what >> changes & 4) == 0) /* not after every change */
            operate(&input, card);
    }
    RSA_free(card);
    ERR_clear_error();
    return 0;
}
