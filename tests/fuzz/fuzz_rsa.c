/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: inputs of RSA. Any bytes, of any length, with any padding, on a few fixed keys, through the
 * engine's RSA_METHOD and through libcrypto's own: both accept or both refuse, and the output is the same. A
 * good half of the inputs are made by the other half of the key first and then perhaps damaged, so that the
 * checks behind the exponentiation are reached.
 */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "fuzz.h"
#include "keys.h"

#define SIZE_MAX_BYTES 256 /* of the largest key */
#define ROOM (SIZE_MAX_BYTES + 64)

typedef int rsa_fn(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding);

static struct {
    RSA *card, *plain;
} keys[FUZZ_KEYS];

static const int paddings[] = {
    RSA_NO_PADDING, RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_X931_PADDING, RSA_PKCS1_WITH_TLS_PADDING};

static BIGNUM *copy_of(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

/* The key's numbers in an RSA of the engine. with_crt false: without primes, as some programs keep them. */
static RSA *on_card(const RSA *rsa, bool with_crt)
{
    const BIGNUM *n, *e, *d, *p, *q, *dmp1, *dmq1, *iqmp;
    RSA *card = RSA_new_method(fuzz_engine());

    RSA_get0_key(rsa, &n, &e, &d);
    RSA_get0_factors(rsa, &p, &q);
    RSA_get0_crt_params(rsa, &dmp1, &dmq1, &iqmp);
    RSA_set0_key(card, copy_of(n), copy_of(e), copy_of(d));
    if (with_crt) {
        RSA_set0_factors(card, copy_of(p), copy_of(q));
        RSA_set0_crt_params(card, copy_of(dmp1), copy_of(dmq1), copy_of(iqmp));
    }
    if (with_crt && RSA_get_multi_prime_extra_count(rsa) == 1) {
        const BIGNUM *r, *exponent, *coefficient;
        BIGNUM *new_r, *new_exponent, *new_coefficient;

        RSA_get0_multi_prime_factors(rsa, &r);
        RSA_get0_multi_prime_crt_params(rsa, &exponent, &coefficient);
        new_r = BN_dup(r);
        new_exponent = BN_dup(exponent);
        new_coefficient = BN_dup(coefficient);
        RSA_set0_multi_prime_params(card, &new_r, &new_exponent, &new_coefficient, 1);
    }
    return card;
}

/* A number at the edges of what a modulus admits: n - 2 to n + 2, at the end of size bytes. */
static void near_modulus(const RSA *rsa, uint8_t *out, int size, unsigned what)
{
    BIGNUM *number = BN_dup(RSA_get0_n(rsa));

    BN_add_word(number, what % 3);
    BN_sub_word(number, what / 3 % 3);
    BN_bn2binpad(number, out, size);
    BN_free(number);
}

static int make_input(struct fuzz_input *input, RSA *plain, bool for_private, int padding, uint8_t *out)
{
    int size = RSA_size(plain);
    unsigned what = fuzz_byte(input);
    int len = size;
    uint8_t text[ROOM];

    switch (what % 5) {
    case 0: /* bytes, of a length of their own */
        len = (int)fuzz_number(input, (unsigned)size + 8);
        fuzz_fill(input, out, (size_t)len);
        return len;
    case 1:
        near_modulus(plain, out, size, what / 5);
        return size;
    case 2: /* the input's own bytes, small numbers among them */
        memset(out, 0, ROOM);
        fuzz_take(input, out + size - size / 4, (size_t)size / 4);
        return size;
    default: /* what the other half of the key makes of a text, damaged in what % 5 == 4 */
        len = padding == RSA_NO_PADDING ? size : (int)fuzz_number(input, (unsigned)size);
        fuzz_fill(input, text, (size_t)len);
        text[0] &= 0x1f; /* below the modulus */
        len = (for_private ? RSA_public_encrypt : RSA_private_encrypt)(len, text, out, plain, padding);
        if (len < 0) {
            fuzz_fill(input, out, (size_t)size);
            len = size;
        }
        if (what % 5 == 4)
            out[fuzz_number(input, (unsigned)len - 1)] ^= fuzz_byte(input);
        return len;
    }
}

static void compare(rsa_fn *function, RSA *card, RSA *plain, const uint8_t *in, int len, int padding)
{
    uint8_t card_out[ROOM] = {0}, plain_out[ROOM] = {0};
    int card_len, plain_len;

    ERR_clear_error();
    card_len = function(len, in, card_out, card, padding);
    FUZZ_SAME(card_len >= 0 || ERR_peek_error() != 0);
    plain_len = function(len, in, plain_out, plain, padding);
    FUZZ_SAME(card_len == plain_len);
    if (card_len > 0)
        FUZZ_SAME(memcmp(card_out, plain_out, (size_t)card_len) == 0);
}

/* Encryption draws random padding: what the engine makes, libcrypto reads. */
static void compare_encrypted(RSA *card, RSA *plain, const uint8_t *in, int len, int padding)
{
    uint8_t card_out[ROOM] = {0}, plain_out[ROOM] = {0}, back[ROOM];
    int card_len = RSA_public_encrypt(len, in, card_out, card, padding);
    int plain_len = RSA_public_encrypt(len, in, plain_out, plain, padding);
    int back_len;

    FUZZ_SAME(card_len == plain_len);
    if (card_len < 0 || padding == RSA_NO_PADDING)
        return;
    back_len = RSA_private_decrypt(card_len, card_out, back, plain, padding);
    FUZZ_SAME(back_len == len && memcmp(back, in, (size_t)len) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (unsigned i = 0; i < FUZZ_KEYS; i++) {
        BIO *bio = BIO_new_mem_buf(fuzz_keys[i], -1);

        keys[i].plain = PEM_read_bio_RSAPrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        RSA_set_method(keys[i].plain, RSA_PKCS1_OpenSSL());
        keys[i].card = on_card(keys[i].plain, i != 1); /* one without primes */
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = fuzz_byte(&input), operation = fuzz_byte(&input);
    RSA *card = keys[which % FUZZ_KEYS].card, *plain = keys[which % FUZZ_KEYS].plain;
    int padding = paddings[operation / 4 % (sizeof(paddings) / sizeof(paddings[0]))];
    bool is_private = (operation & 1) != 0, encrypts = (operation & 2) != 0;
    uint8_t in[ROOM];
    int len = make_input(&input, plain, is_private, padding, in);

    fuzz_choose_kernels(which / FUZZ_KEYS);
    if (is_private)
        compare(encrypts ? RSA_private_encrypt : RSA_private_decrypt, card, plain, in, len, padding);
    else if (encrypts)
        compare_encrypted(card, plain, in, len, padding);
    else
        compare(RSA_public_decrypt, card, plain, in, len, padding);
    ERR_clear_error();
    return 0;
}
