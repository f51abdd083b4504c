/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing that the engine does with the result of a private RSA operation hangs on the result: no branch, and
 * no address. The inverse that unblinds it is a secret here, so that all that comes of it is. What libcrypto
 * does then, with a number of the kind that it makes of its own results, is libcrypto's to answer for: no
 * more is done than that.
 *
 * results PROFILE   (under valgrind; of a card that leaves RSA to the calling core)
 */
#include <dlfcn.h>
#include <openssl/bn.h>

#include "check.h"
#include "poison.h"
#include "support/card.h"

#define SIZE 256

static unsigned unblinded;

/* In place of libcrypto's, for the engine. */
__attribute__((visibility("default"))) int BN_BLINDING_invert_ex(
    BIGNUM *number, const BIGNUM *inverse, BN_BLINDING *blinding, BN_CTX *ctx)
{
    static int (*real)(BIGNUM *, const BIGNUM *, BN_BLINDING *, BN_CTX *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "BN_BLINDING_invert_ex");
    CHECK(real != NULL);
    unblinded++;
    poison_number((BIGNUM *)inverse);
    return real(number, inverse, blinding, ctx);
}

/* The key of test_rsa() with the engine's method. */
static RSA *engine_rsa(struct card *card)
{
    EVP_PKEY *key = test_key(card);
    RSA *rsa = EVP_PKEY_get1_RSA(key);

    EVP_PKEY_free(key);
    return rsa;
}

static RSA *without_crt(struct card *card)
{
    RSA *rsa = RSA_new_method(card_engine(card)), *whole = test_rsa();

    CHECK(RSA_set0_key(rsa, BN_dup(RSA_get0_n(whole)), BN_dup(RSA_get0_e(whole)), BN_dup(RSA_get0_d(whole))));
    RSA_free(whole);
    return rsa;
}

/* A number whose private result is text, right-aligned. */
static void make_input(unsigned char in[SIZE], const char *text)
{
    unsigned char padded[SIZE] = {0};
    RSA *plain = test_rsa();

    memcpy(padded + SIZE - strlen(text), text, strlen(text));
    CHECK_EQ(RSA_public_encrypt(SIZE, padded, in, plain, RSA_NO_PADDING), SIZE);
    RSA_free(plain);
}

/* The engine's part by itself. Returns how many errors libcrypto makes of the number that it gives. */
static unsigned look_at_exponentiation(struct card *card, const unsigned char in[SIZE])
{
    RSA *rsa = engine_rsa(card);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *base = BN_bin2bn(in, SIZE, NULL), *result = BN_new();
    unsigned char out[SIZE];
    unsigned before = errors(), count = unblinded;
    int got = RSA_meth_get_mod_exp(RSA_get_method(rsa))(result, base, rsa, ctx);

    CHECK_EQ(errors(), before);
    CHECK_EQ(got, 1);
    CHECK_EQ(unblinded, count + 1);
    CHECK(is_poisoned_number(result));
    CHECK(BN_get_flags(result, BN_FLG_CONSTTIME) != 0);
    got = BN_bn2binpad(result, out, SIZE);
    declassify(&got, sizeof(got));
    CHECK_EQ(got, SIZE);
    CHECK(is_poisoned(out, SIZE));
    before = errors() - before;
    BN_free(base);
    BN_free(result);
    BN_CTX_free(ctx);
    RSA_free(rsa);
    return before;
}

typedef int rsa_fn(int, const unsigned char *, unsigned char *, RSA *, int);

static void look_at(rsa_fn *function, RSA *rsa, const unsigned char in[SIZE], unsigned libcryptos)
{
    unsigned char out[SIZE], again[SIZE];
    unsigned before = errors(), count = unblinded;
    RSA *plain = test_rsa();
    int got = function(SIZE, in, out, rsa, RSA_NO_PADDING);

    CHECK_EQ(errors() - before, libcryptos);
    declassify(&got, sizeof(got));
    CHECK_EQ(got, SIZE);
    CHECK_EQ(unblinded, count + 1);
    CHECK(is_poisoned(out, SIZE));
    declassify(out, SIZE);
    CHECK_EQ(RSA_public_encrypt(SIZE, out, again, plain, RSA_NO_PADDING), SIZE);
    CHECK_EQ(memcmp(in, again, SIZE), 0);
    RSA_free(plain);
}

int main(int argc, char **argv)
{
    static const char *const texts[] = {"", "short", /* many a leading zero */
        "a result that fills two hundred and fifty-five of the bytes that there are, so that there is no "
        "leading "
        "zero but one, as there is none but one where a message was padded; and so on, and so on, and so on, "
        "until it is as long as that, which takes quite a few more words."};
    char command[4096];
    struct card *card;

    test_begin(240);
    CHECK_EQ(argc, 2);
    see_a_leak();
    snprintf(command, sizeof(command), "PROFILE:%s", argv[1]);
    card = card_load(command);
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        RSA *whole = engine_rsa(card), *lean = without_crt(card);
        unsigned char in[SIZE];
        unsigned libcryptos;

        make_input(in, texts[i]);
        libcryptos = look_at_exponentiation(card, in);
        look_at(RSA_private_decrypt, whole, in, libcryptos);
        look_at(RSA_private_encrypt, whole, in, libcryptos);
        look_at(RSA_private_decrypt, lean, in, libcryptos);
        look_at(RSA_private_encrypt, lean, in, libcryptos);
        RSA_free(whole);
        RSA_free(lean);
    }
    CHECK(card_count(card, "inline") > 0);
    card_unload(card);
    return 0;
}
