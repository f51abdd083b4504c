/* SPDX-License-Identifier: Apache-2.0 */
/* An RSA key of libcrypto's, from a file, and as the device takes it. */
#ifndef ERSATZ_TESTS_RSA_NUMBERS_H
#define ERSATZ_TESTS_RSA_NUMBERS_H

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "check.h"
#include "ersatz/device.h"

/* The key of DIRECTORY/NAME.pem, for RSA_free(). */
static inline RSA *rsa_read_key(const char *directory, const char *name)
{
    char path[1000];
    FILE *file;
    RSA *rsa;

    snprintf(path, sizeof(path), "%s/%s.pem", directory, name);
    file = fopen(path, "re");
    CHECK(file != NULL);
    rsa = PEM_read_RSAPrivateKey(file, NULL, NULL, NULL);
    CHECK(rsa != NULL);
    fclose(file);
    return rsa;
}

/* In memory of its own, for rsa_numbers_free(). */
static inline struct ersatz_bytes bytes_of(const BIGNUM *number)
{
    struct ersatz_bytes bytes = {.len = (size_t)BN_num_bytes(number)};
    uint8_t *data = malloc(bytes.len);

    CHECK(data != NULL);
    BN_bn2bin(number, data);
    bytes.data = data;
    return bytes;
}

static inline struct ersatz_rsa_numbers rsa_numbers_without_primes(const RSA *rsa)
{
    return (struct ersatz_rsa_numbers){
        .n = bytes_of(RSA_get0_n(rsa)), .e = bytes_of(RSA_get0_e(rsa)), .d = bytes_of(RSA_get0_d(rsa))};
}

static inline struct ersatz_rsa_numbers rsa_numbers(const RSA *rsa)
{
    struct ersatz_rsa_numbers numbers = rsa_numbers_without_primes(rsa);

    numbers.p = bytes_of(RSA_get0_p(rsa));
    numbers.q = bytes_of(RSA_get0_q(rsa));
    numbers.dmp1 = bytes_of(RSA_get0_dmp1(rsa));
    numbers.dmq1 = bytes_of(RSA_get0_dmq1(rsa));
    numbers.iqmp = bytes_of(RSA_get0_iqmp(rsa));
    return numbers;
}

static inline void rsa_numbers_free(struct ersatz_rsa_numbers *numbers)
{
    struct ersatz_bytes *const all[] = {&numbers->n, &numbers->e, &numbers->d, &numbers->p, &numbers->q,
        &numbers->dmp1, &numbers->dmq1, &numbers->iqmp};

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free((void *)all[i]->data);
}

/* The caller's, to be freed as any key. */
static inline struct ersatz_rsa_key *device_key_of(const RSA *rsa)
{
    struct ersatz_rsa_numbers numbers = rsa_numbers(rsa);
    struct ersatz_rsa_key *key;

    CHECK_EQ(ersatz_rsa_key_new(&numbers, &key), ERSATZ_OK);
    rsa_numbers_free(&numbers);
    return key;
}

#endif
