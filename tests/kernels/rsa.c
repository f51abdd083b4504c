/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA in batches against libcrypto: keys of every length that the batch kernel takes and some that it does
 * not, a key of its own in every lane, inputs at the edges, batches that fill their lanes and batches that do
 * not; and keys one of whose CRT numbers is wrong.
 *
 * rsa DIRECTORY-OF-KEYS
 */
#include <openssl/rsa.h>

#include "check.h"
#include "ersatz/device.h"
#include "ersatz/stats.h"
#include "kernels/compute.h"
#include "kernels/rsa_ifma.h"
#include "rsa_numbers.h"

#define KEYS_MAX 40u
#define SIZE_MAX_BYTES 1024u
#define BEYOND 16u /* bytes behind an output that stay as they are */

struct known {
    char name[32];
    RSA *rsa;
    struct ersatz_rsa_key *key;
    size_t size;
    bool batch_private, batch_public; /* the kernel is to take it */
};

/* One operation, and its answer by libcrypto. */
struct member {
    struct ersatz_op op;
    uint8_t in[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES + BEYOND], wanted[SIZE_MAX_BYTES];
    enum ersatz_result result;
    bool batched;
};

static struct known keys[KEYS_MAX];
static const struct known *longer; /* than 2048 bits, but with as many digits */
static unsigned key_count, state = 7;
static struct compute_lanes *lanes;
static struct ersatz_stats stats;
static struct member members[COMPUTE_BATCH_MAX];

static unsigned any(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

/* --------------------------------------------------------------------------------------------------- keys */

static struct known *add(const char *name, RSA *rsa, struct ersatz_rsa_numbers numbers, bool batch)
{
    struct known *known = &keys[key_count++];

    CHECK(key_count <= KEYS_MAX);
    snprintf(known->name, sizeof(known->name), "%s", name);
    known->rsa = rsa;
    known->size = (size_t)RSA_size(rsa);
    known->batch_private = known->batch_public = batch;
    CHECK_EQ(ersatz_rsa_key_new(&numbers, &known->key), ERSATZ_OK);
    rsa_numbers_free(&numbers);
    return known;
}

/* The public exponent is e, or e * 2^shift + 1. */
static struct known *add_generated(unsigned bits, uint64_t e, int shift)
{
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    char name[32];

    CHECK(BN_set_word(exponent, e));
    if (shift > 0)
        CHECK(BN_lshift(exponent, exponent, shift) && BN_add_word(exponent, 1));
    CHECK(RSA_generate_key_ex(rsa, (int)bits, exponent, NULL));
    BN_free(exponent);
    snprintf(name, sizeof(name), "%u bits", bits);
    return add(name, rsa, rsa_numbers(rsa), true);
}

/* The same key with p and q exchanged, so that sometimes the first is the longer or the larger one. */
static void add_exchanged(const char *name, const RSA *rsa)
{
    RSA *other = RSA_new();
    BIGNUM *p = BN_dup(RSA_get0_q(rsa)), *q = BN_dup(RSA_get0_p(rsa)), *iqmp = BN_new();
    BN_CTX *ctx = BN_CTX_new();
    char longer_name[40];

    CHECK(BN_mod_inverse(iqmp, q, p, ctx) != NULL);
    CHECK(RSA_set0_key(other, BN_dup(RSA_get0_n(rsa)), BN_dup(RSA_get0_e(rsa)), BN_dup(RSA_get0_d(rsa))));
    CHECK(RSA_set0_factors(other, p, q));
    CHECK(RSA_set0_crt_params(other, BN_dup(RSA_get0_dmq1(rsa)), BN_dup(RSA_get0_dmp1(rsa)), iqmp));
    snprintf(longer_name, sizeof(longer_name), "%s exchanged", name);
    add(longer_name, other, rsa_numbers(other), true);
    BN_CTX_free(ctx);
}

/* Primes of different lengths: 600 and 424 bits. */
static void add_unbalanced(void)
{
    RSA *rsa = RSA_new();
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = BN_new(), *e = BN_new(), *d = BN_new(), *p = BN_new(), *q = BN_new(), *dp = BN_new(),
           *dq = BN_new(), *qi = BN_new(), *p1 = BN_new(), *q1 = BN_new(), *phi = BN_new();

    CHECK(BN_set_word(e, 65537));
    do {
        CHECK(BN_generate_prime_ex(p, 424, 0, NULL, NULL, NULL));
        CHECK(BN_generate_prime_ex(q, 600, 0, NULL, NULL, NULL));
        CHECK(BN_mul(n, p, q, ctx) && BN_copy(p1, p) && BN_copy(q1, q));
        CHECK(BN_sub_word(p1, 1) && BN_sub_word(q1, 1) && BN_mul(phi, p1, q1, ctx));
    } while (BN_mod_inverse(d, e, phi, ctx) == NULL);
    CHECK(BN_nnmod(dp, d, p1, ctx) && BN_nnmod(dq, d, q1, ctx) && BN_mod_inverse(qi, q, p, ctx));
    CHECK(RSA_set0_key(rsa, n, e, d) && RSA_set0_factors(rsa, p, q) && RSA_set0_crt_params(rsa, dp, dq, qi));
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
    BN_CTX_free(ctx);
    add("unbalanced", rsa, rsa_numbers(rsa), true);
}

static void make_keys(const char *directory)
{
    static const char *const taken[] = {
        "512", "1023", "1024_e3", "1536", "2047", "2048", "2048_e17", "2048_long_e", "3072", "4096"};
    struct known *known;
    RSA *rsa, *short_of_a_byte;

    for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        rsa = rsa_read_key(directory, taken[i]);
        add(taken[i], rsa, rsa_numbers(rsa), true);
        add_exchanged(taken[i], rsa);
    }
    for (unsigned bits = 512; bits <= 2048; bits += 256)
        add_generated(bits, bits % 512 == 0 ? 65537 : 3, 0);
    add_generated(1030, 65537, 0);
    add_generated(2600, 17, 0);
    short_of_a_byte = add_generated(1402, 65537, 0)->rsa;
    longer = add_generated(2070, 65537, 0);
    add_unbalanced();
    /* What the kernel does not take: a length, a key without its two primes (the public half is as any
     * other), an exponent beyond 64 bits. */
    rsa = rsa_read_key(directory, "8192");
    add("8192", rsa, rsa_numbers(rsa), false);
    CHECK(RSA_up_ref(short_of_a_byte));
    add("1402 without primes", short_of_a_byte, rsa_numbers_without_primes(short_of_a_byte), false)
        ->batch_public = true;
    known = add_generated(1024, UINT64_MAX, 64);
    known->batch_private = known->batch_public = false;
}

/* ------------------------------------------------------------------------------------------------- inputs */

enum {
    ZERO,
    ONE,
    N_LESS_1,
    P,
    Q,
    MULTIPLE_OF_P,
    MULTIPLE_OF_Q,
    ONES,
    POWER_OF_2,
    RANDOM,
    N,
    N_PLUS_1,
    FULL,
    TOP_BIT,
    INPUTS
};

/* Returns whether it is below the modulus. */
static bool make_input(uint8_t *in, const struct known *known, unsigned kind)
{
    const BIGNUM *n = RSA_get0_n(known->rsa);
    const BIGNUM *p = RSA_get0_p(known->rsa), *q = RSA_get0_q(known->rsa);
    BIGNUM *number = BN_new();
    bool below;

    BN_zero(number);
    switch (kind) {
    case ONE:
    case POWER_OF_2:
        CHECK(BN_set_bit(number, kind == ONE ? 0 : (int)any((unsigned)BN_num_bits(n) - 1)));
        break;
    case N_LESS_1:
    case N:
    case N_PLUS_1:
        CHECK(BN_copy(number, n) && (kind == N || (kind == N_LESS_1 ? BN_sub_word : BN_add_word)(number, 1)));
        break;
    case P:
    case Q:
    case MULTIPLE_OF_P:
    case MULTIPLE_OF_Q:
        CHECK(BN_copy(number, kind == P || kind == MULTIPLE_OF_P ? p : q));
        CHECK(kind == P || kind == Q || BN_mul_word(number, 2 + any(100)));
        break;
    case TOP_BIT: /* of the bytes, above the digits of a modulus of 1402 bits */
        CHECK(BN_set_bit(number, 8 * (int)known->size - 1));
        break;
    case ONES:
    case FULL:
        CHECK(BN_set_bit(number, kind == ONES ? BN_num_bits(n) - 1 : 8 * (int)known->size));
        CHECK(BN_sub_word(number, 1));
        break;
    case RANDOM:
        for (size_t i = 0; i < known->size; i++)
            in[i] = (uint8_t)any(256);
        CHECK(BN_bin2bn(in, (int)known->size, number) && BN_mask_bits(number, BN_num_bits(n) - 1));
    }
    CHECK_EQ(BN_bn2binpad(number, in, (int)known->size), (int)known->size);
    below = BN_cmp(number, n) < 0;
    BN_free(number);
    return below;
}

static void make_member(struct member *member, const struct known *known, bool private_half, unsigned kind)
{
    int size = (int)known->size;
    bool below = make_input(member->in, known, kind);

    memset(member->out, 0xa5, sizeof(member->out));
    member->op = (struct ersatz_op){.kind = private_half ? ERSATZ_RSA_PRIVATE : ERSATZ_RSA_PUBLIC,
        .u.rsa = {.key = known->key, .in = member->in, .out = member->out}};
    if (any(4) == 0) {
        memcpy(member->out, member->in, known->size);
        member->op.u.rsa.in = member->out;
    }
    member->batched = below && (private_half ? known->batch_private : known->batch_public);
    member->result = below ? ERSATZ_OK : ERSATZ_BAD_INPUT;
    if (!below)
        return;
    if (private_half)
        CHECK_EQ(RSA_private_encrypt(size, member->in, member->wanted, known->rsa, RSA_NO_PADDING), size);
    else
        CHECK_EQ(RSA_public_encrypt(size, member->in, member->wanted, known->rsa, RSA_NO_PADDING), size);
}

/* ------------------------------------------------------------------------------------------------ batches */

/* The members, as one batch: results, outputs, and that the batch kernel did what it was to do. */
static void compute(unsigned count)
{
    const struct ersatz_op *ops[COMPUTE_BATCH_MAX];
    enum ersatz_result results[COMPUTE_BATCH_MAX];
    uint64_t before = ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_IFMA);
    unsigned batched = 0;

    for (unsigned i = 0; i < count; i++) {
        ops[i] = &members[i].op;
        batched += members[i].batched;
    }
    CHECK(count > 0);
    compute_batch(lanes, ops, results, count, &stats);
    CHECK_EQ(ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_IFMA) - before, batched);
    for (unsigned i = 0; i < count; i++) {
        const struct member *member = &members[i];
        size_t size = ersatz_rsa_key_size(member->op.u.rsa.key);

        CHECK_EQ(results[i], member->result);
        if (member->result == ERSATZ_OK)
            CHECK(memcmp(member->out, member->wanted, size) == 0);
        for (unsigned j = 0; j < BEYOND; j++)
            CHECK(member->out[size + j] == 0xa5);
    }
}

/* Every key, with every input. */
static void test_inputs(void)
{
    for (unsigned i = 0; i < key_count; i++) {
        for (unsigned private_half = 0; private_half <= 1; private_half++) {
            for (unsigned kind = 0; kind < INPUTS; kind++)
                make_member(&members[kind], &keys[i], private_half != 0, kind);
            compute(INPUTS);
        }
    }
}

/* Whatever comes, in batches of every length. */
static void test_mixed(void)
{
    for (unsigned count = 1; count <= COMPUTE_BATCH_MAX; count++) {
        for (unsigned i = 0; i < count; i++)
            make_member(&members[i], &keys[any(key_count - 3)], any(4) != 0, any(INPUTS));
        compute(count);
    }
}

/* Full and partial lanes of one shape: a key each, in turn. */
static void test_alike(void)
{
    for (unsigned first = 0; first + 1 < key_count - 3; first++) {
        unsigned count = 1 + any(17);

        for (unsigned i = 0; i < count; i++)
            make_member(&members[i], &keys[first + i % 2], true, RANDOM);
        compute(count);
    }
    for (unsigned i = 0; i < 8; i++)
        make_member(&members[i], i % 4 == 1 ? longer : &keys[10], true, RANDOM);
    compute(8);
}

/*
 * A CRT number with one wrong bit, in one lane among right ones. Given out, the wrong result would tell the
 * factors (D. Boneh, R. DeMillo and R. Lipton, "On the importance of checking cryptographic protocols for
 * faults", 1997). The kernel must notice, and the portable one give the right answer, which it has from d.
 */
static void test_broken_half(const char *directory)
{
    for (unsigned which = 0; which < 3; which++) {
        RSA *rsa = rsa_read_key(directory, "2048");
        struct ersatz_rsa_numbers numbers = rsa_numbers(rsa);
        const struct ersatz_bytes *broken[] = {&numbers.dmp1, &numbers.dmq1, &numbers.iqmp};
        uint64_t before = ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_PORTABLE);
        struct known *known;

        ((uint8_t *)broken[which]->data)[broken[which]->len - 1 - any(100)] ^= 4;
        known = add("broken", rsa, numbers, true);
        for (unsigned i = 0; i < 11; i++)
            make_member(&members[i], i == 6 ? known : &keys[10], true, RANDOM);
        CHECK_EQ(ersatz_rsa_key_size(keys[10].key), known->size);
        members[6].batched = false;
        compute(11);
        CHECK_EQ(ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_PORTABLE) - before, 1);
    }
}

int main(int argc, char **argv)
{
    test_begin(300);
    CHECK_EQ(argc, 2);
    if (!rsa_ifma_is_available())
        SKIP("this processor has no AVX-512 IFMA");
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_IFMA);
    CHECK(ersatz_kernels_in_use() & 1u << ERSATZ_KERNEL_IFMA);
    lanes = compute_lanes_new();
    CHECK(lanes != NULL);
    make_keys(argv[1]);
    test_inputs();
    test_mixed();
    test_alike();
    test_broken_half(argv[1]);
    for (unsigned i = 0; i < key_count; i++) {
        ersatz_rsa_key_free(keys[i].key);
        RSA_free(keys[i].rsa);
    }
    compute_lanes_free(lanes);
    return 0;
}
