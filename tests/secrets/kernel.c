/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing in the batch kernel for RSA hangs on the numbers of a private key: no branch, and no address. Its
 * source, compiled with simulated vectors, runs under memcheck with a key that is not defined memory. That a
 * result gave the input again is no secret.
 *
 * kernel   (under valgrind)
 */
#include <openssl/rsa.h>

#include "check.h"
#include "kernels/residue.h"
#include "kernels/rsa_ifma.h"
#include "kernels/rsa_ifma_key.h"
#include "kernels/rsa_key.h"
#include "poison.h"
#include "rsa_numbers.h"
#include "simulated_kernel.h"

#define SIZE 136u
#define OPERATIONS 3u

static struct rsa_ifma_key *secret;

const struct rsa_ifma_key *kernel_key(const struct ersatz_rsa_key *key)
{
    (void)key;
    return secret;
}

unsigned kernel_verdict(unsigned good)
{
    CHECK(is_poisoned(&good, sizeof(good)));
    declassify(&good, sizeof(good));
    return good;
}

/* In place of one that clears registers which valgrind does not know. */
void residue_clear(void)
{
}

static RSA *make_key(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *f4 = BN_new();
    struct ersatz_rsa_numbers numbers;

    CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(rsa, SIZE * 8, f4, NULL));
    numbers = rsa_numbers(rsa);
    CHECK(rsa_ifma_key_new(&numbers, &secret) && secret != NULL && secret->is_private);
    rsa_numbers_free(&numbers);
    BN_free(f4);
    poison(secret->halves, sizeof(secret->halves));
    poison(secret->coefficient, sizeof(secret->coefficient));
    return rsa;
}

int main(void)
{
    struct rsa_ifma *ifma = rsa_ifma_new();
    uint8_t in[OPERATIONS][SIZE] = {{0}}, out[OPERATIONS][SIZE], wanted[SIZE];
    struct ersatz_op ops[OPERATIONS];
    const struct ersatz_op *each[OPERATIONS];
    enum ersatz_result results[OPERATIONS];
    unsigned before;
    uint32_t done;
    RSA *rsa;

    test_begin(240);
    see_a_leak();
    rsa = make_key();
    for (unsigned i = 0; i < OPERATIONS; i++) {
        memset(in[i] + i, (int)(i + 1), SIZE - i);
        ops[i] = (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE, .u.rsa = {.in = in[i], .out = out[i]}};
        each[i] = &ops[i];
    }
    before = errors();
    done = rsa_ifma_compute(ifma, each, results, (1u << OPERATIONS) - 1, false);
    CHECK_EQ(errors(), before);
    CHECK_EQ(done, (1u << OPERATIONS) - 1);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        CHECK_EQ(results[i], ERSATZ_OK);
        CHECK(is_poisoned(out[i], SIZE));
        declassify(out[i], SIZE);
        CHECK_EQ(RSA_private_encrypt(SIZE, in[i], wanted, rsa, RSA_NO_PADDING), (int)SIZE);
        CHECK_EQ(memcmp(out[i], wanted, SIZE), 0);
    }
    return 0;
}
