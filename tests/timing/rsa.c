/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See timing.h. One operation on the calling core, one through EVP and the engine, one through the card; and
 * full batches on the card, by each kernel that this processor has.
 */
#include <openssl/bn.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#include "check.h"
#include "ersatz/device.h"
#include "rsa_numbers.h"
#include "timing.h"

#define SIZE 256u
#define BATCH_MAX 64u
#define KEYS_MADE 24u
#define KEYS                                                                                                 \
    12u           /* that are kept: half of them have the fewest bits set in their exponents, half the most  \
                   */
#define ZEROS 64u /* bytes, at the beginning of a short result */

struct key {
    EVP_PKEY *made; /* every other member is made of it anew for each round */
    unsigned weight;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *ctx; /* for decrypting without padding */
    RSA *rsa;
    struct ersatz_rsa_key *device;
};

struct input {
    unsigned key;
    uint8_t in[SIZE];
};

static struct ersatz_stats stats;
static struct key keys[KEYS]; /* by weight */
static uint8_t out[BATCH_MAX][SIZE];

/* -------------------------------------------------------------------------------------------------- keys */

static unsigned weight_of(const BIGNUM *number)
{
    unsigned weight = 0;

    for (int i = BN_num_bits(number); i-- > 0;)
        weight += BN_is_bit_set(number, i) != 0;
    return weight;
}

static int by_weight(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    return (x->weight > y->weight) - (x->weight < y->weight);
}

static void make_keys(void)
{
    struct key made[KEYS_MADE] = {{0}};

    for (unsigned i = 0; i < KEYS_MADE; i++) {
        const RSA *rsa;

        made[i].made = EVP_RSA_gen(SIZE * 8);
        CHECK(made[i].made != NULL);
        rsa = EVP_PKEY_get0_RSA(made[i].made);
        made[i].weight = weight_of(RSA_get0_dmp1(rsa)) + weight_of(RSA_get0_dmq1(rsa));
    }
    qsort(made, KEYS_MADE, sizeof(made[0]), by_weight);
    for (unsigned i = 0; i < KEYS_MADE; i++) {
        if (i < KEYS / 2)
            keys[i] = made[i];
        else if (i >= KEYS_MADE - KEYS / 2)
            keys[i - (KEYS_MADE - KEYS)] = made[i];
        else
            EVP_PKEY_free(made[i].made);
    }
}

static void unload_key(struct key *key)
{
    EVP_PKEY_CTX_free(key->ctx);
    ersatz_rsa_key_free(key->device);
    RSA_free(key->rsa);
    EVP_PKEY_free(key->pkey);
}

static void decrypt_with(const struct key *key, const uint8_t *in)
{
    size_t len = SIZE;

    CHECK_EQ(EVP_PKEY_decrypt(key->ctx, out[0], &len, in, SIZE), 1);
}

static void load_key(struct key *key)
{
    static const uint8_t any[SIZE] = {0, 1};
    uint8_t *der = NULL;
    const uint8_t *at;
    int len = i2d_PrivateKey(key->made, &der);

    at = der;
    key->pkey = d2i_AutoPrivateKey(NULL, &at, len);
    CHECK(key->pkey != NULL);
    OPENSSL_free(der);
    key->rsa = EVP_PKEY_get1_RSA(key->pkey);
    key->device = device_key_of(key->rsa);
    key->ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    CHECK(
        EVP_PKEY_decrypt_init(key->ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(key->ctx, RSA_NO_PADDING) == 1);
    decrypt_with(key, any); /* what the first use of a key makes is not measured */
}

/* All keys move to other memory, in random order: a key that lay well or badly in the caches during the whole
 * measurement would look like one that is quick or slow. */
static void move_keys(void)
{
    unsigned order[KEYS];

    for (unsigned i = 0; i < KEYS; i++) {
        unsigned other = meter_lot(i + 1);

        order[i] = order[other];
        order[other] = i;
        unload_key(&keys[i]);
    }
    for (unsigned i = 0; i < KEYS; i++)
        load_key(&keys[order[i]]);
}

static void free_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        unload_key(&keys[i]);
        EVP_PKEY_free(keys[i].made);
    }
}

/* ------------------------------------------------------------------------------------------------ classes */

static void random_number(uint8_t number[SIZE])
{
    CHECK_EQ(RAND_bytes(number, SIZE), 1);
    number[0] &= 0x7f; /* below the modulus */
}

/* Class 0: one number, over and over. As long as the others: an input is no secret, nor is its length. */
static void by_input(struct input *input, unsigned class)
{
    static uint8_t fixed[SIZE];

    if (fixed[SIZE - 1] == 0) {
        random_number(fixed);
        fixed[SIZE - 1] |= 1;
    }
    random_number(input->in);
    if (class == 0)
        memcpy(input->in, fixed, SIZE);
}

static void by_key(struct input *input, unsigned class)
{
    random_number(input->in);
    input->key = class * (KEYS / 2) + meter_lot(KEYS / 2);
}

/* Class 1: of a result with many a leading zero. */
static void by_result(struct input *input, unsigned class)
{
    uint8_t result[SIZE];

    random_number(result);
    result[0] |= 0x40;
    if (class == 1)
        memset(result, 0, ZEROS);
    CHECK_EQ(BN_num_bytes(RSA_get0_n(keys[0].rsa)), SIZE);
    CHECK_EQ(RSA_public_encrypt(SIZE, result, input->in, keys[0].rsa, RSA_NO_PADDING), (int)SIZE);
}

static const struct pair {
    const char *name, *classes[2];
    void (*make)(struct input *input, unsigned class);
} by[] = {
    {"input", {"fixed", "random"}, by_input},
    {"key", {"few bits set", "many bits set"}, by_key},
    {"result", {"full", "leading zeros"}, by_result},
};
enum { BY_INPUT, BY_KEY, BY_RESULT, PAIRS };

/* What is being measured. */
static struct {
    const struct pair *pair;
    void (*work)(const struct input *input);
    struct ersatz_device *device;
    unsigned count; /* of inputs, one after the other: a batch */
} now;

static void make_inputs(void *inputs, unsigned class)
{
    for (unsigned i = 0; i < now.count; i++) {
        struct input *input = (struct input *)inputs + i;

        input->key = 0;
        now.pair->make(input, class);
    }
}

static double measure(const char *way, uint64_t (*time)(const void *inputs), double seconds)
{
    char name[64];
    struct trial trial = {.name = name,
        .classes = {now.pair->classes[0], now.pair->classes[1]},
        .input_size = now.count * sizeof(struct input),
        .make = make_inputs,
        .time = time,
        .prepare = move_keys};

    snprintf(name, sizeof(name), "RSA-2048 by %s, %s", now.pair->name, way);
    return meter_run(&trial, seconds);
}

/* --------------------------------------------------------------------------------------------- one by one */

static void compute_here(const struct input *input)
{
    struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE,
        .u.rsa = {.key = keys[input->key].device, .in = input->in, .out = out[0]}};

    CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
}

static void decrypt(const struct input *input)
{
    decrypt_with(&keys[input->key], input->in);
}

/* A result made a number, which has fewer words without its leading zeros, and squared: often enough to be
 * about a hundredth of the operation. */
static void decrypt_and_tell_result(const struct input *input)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *number, *square = BN_new();

    decrypt(input);
    number = BN_bin2bn(out[0], SIZE, NULL);
    for (unsigned i = 0; i < 20; i++)
        CHECK(BN_sqr(square, number, ctx));
    BN_free(number);
    BN_free(square);
    BN_CTX_free(ctx);
}

/* A multiplication for each bit of the exponent that is set. */
static void decrypt_and_tell_key(const struct input *input)
{
    const RSA *rsa = keys[input->key].rsa;
    const BIGNUM *exponent = RSA_get0_dmp1(rsa), *prime = RSA_get0_p(rsa);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *product = BN_dup(exponent);

    decrypt(input);
    for (int i = BN_num_bits(exponent); i-- > 0;) {
        if (BN_is_bit_set(exponent, i))
            CHECK(BN_mod_mul(product, product, exponent, prime, ctx));
    }
    BN_free(product);
    BN_CTX_free(ctx);
}

static uint64_t time_one(const void *input)
{
    uint64_t begin = meter_now();

    now.work(input);
    return meter_now() - begin;
}

static double measure_one(
    const char *way, unsigned pair, void (*work)(const struct input *input), double seconds)
{
    now.pair = &by[pair];
    now.work = work;
    now.count = 1;
    return measure(way, time_one, seconds);
}

/* ------------------------------------------------------------------------------------------------ batches */

static int count_down(void *left)
{
    atomic_fetch_sub_explicit((_Atomic unsigned *)left, 1, memory_order_release);
    return 1;
}

/* The card is held while the requests go in, so that its worker takes them up together. */
static uint64_t time_batch(const void *inputs)
{
    const struct input *input = inputs;
    struct ersatz_request *requests[BATCH_MAX];
    _Atomic unsigned left = now.count;
    uint64_t begin, ticks;

    ersatz_device_hold(now.device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < now.count; i++) {
        struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE,
            .u.rsa = {.key = keys[input[i].key].device, .in = input[i].in, .out = out[i]}};

        CHECK_EQ(ersatz_request_new(now.device, &op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], count_down, &left), ERSATZ_OK);
    }
    begin = meter_now();
    ersatz_device_hold(now.device, ERSATZ_HOLD_NONE);
    while (atomic_load_explicit(&left, memory_order_acquire) != 0)
        ;
    ticks = meter_now() - begin;
    for (unsigned i = 0; i < now.count; i++) {
        while (!ersatz_request_is_done(requests[i]))
            ersatz_request_wait(requests[i], 1);
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
    }
    return ticks;
}

static void measure_card(unsigned pair, enum ersatz_kernel kernel, unsigned count, double seconds)
{
    char way[32];
    uint64_t before = ersatz_stats_by_kernel(&stats, kernel);

    now.pair = &by[pair];
    now.count = count;
    snprintf(way, sizeof(way), "%s, %u at once", ersatz_kernel_name(kernel), count);
    ersatz_kernels_choose(1u << kernel);
    measure(way, time_batch, seconds);
    CHECK(ersatz_stats_by_kernel(&stats, kernel) > before); /* else it was another one */
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
}

static void measure_batches(double seconds)
{
    struct ersatz_config config;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.workers = config.instances = 1;
    CHECK_EQ(ersatz_device_open(&config, &now.device, &error), ERSATZ_OK);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        measure_card(pair, ERSATZ_KERNEL_PORTABLE, 1, seconds);
        if ((ersatz_kernels_available() & 1u << ERSATZ_KERNEL_IFMA) == 0)
            continue;
        measure_card(pair, ERSATZ_KERNEL_IFMA, 8, seconds);
        measure_card(pair, ERSATZ_KERNEL_IFMA, BATCH_MAX, seconds);
    }
    ersatz_device_free(now.device);
}

/* ------------------------------------------------------------------------------------------------- engine */

static ENGINE *load_engine(void)
{
    ENGINE *engine;

    OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    engine = ENGINE_by_id("dynamic");
    if (engine == NULL || getenv("ERSATZ_MODULE") == NULL ||
        !ENGINE_ctrl_cmd_string(engine, "SO_PATH", getenv("ERSATZ_MODULE"), 0) ||
        !ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0) || !ENGINE_init(engine) ||
        !ENGINE_set_default_RSA(engine)) {
        ERR_print_errors_fp(stderr);
        FAIL("ERSATZ_MODULE names no engine that loads");
    }
    return engine;
}

bool measure_rsa(double seconds)
{
    ENGINE *engine = load_engine(); /* the default, before there are keys */
    bool fit;

    make_keys();
    fit = measure_one("a leak", BY_RESULT, decrypt_and_tell_result, seconds) > 10;
    fit &= measure_one("a leak", BY_KEY, decrypt_and_tell_key, seconds) > 10;
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        measure_one("calling core", pair, compute_here, seconds);
        measure_one("EVP", pair, decrypt, seconds);
    }
    measure_batches(seconds);
    free_keys();
    ENGINE_unregister_RSA(engine);
    ENGINE_finish(engine);
    ENGINE_free(engine);
    return fit;
}
