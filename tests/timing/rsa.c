/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See timing.h. One operation on the calling core, one through EVP and the engine, one through the card; and
 * full batches on the card, by each kernel that this processor has. All inputs are made beforehand and taken
 * by lot, with the same steps for both classes.
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
#define POOL 64u
#define KEYS 24u           /* made, of which */
#define KEYS_OF_A_CLASS 6u /* those with the fewest bits set in their exponents are one class */
#define ZEROS 64u          /* bytes, at the beginning of a short result */

struct key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *ctx; /* for decrypting without padding */
    RSA *rsa;
    struct ersatz_rsa_key *device;
    unsigned weight;
};

struct input {
    unsigned key;
    uint8_t in[SIZE];
};

static struct ersatz_stats stats;
static struct key keys[KEYS]; /* by weight */
static struct input pool[2][POOL], now[BATCH_MAX];
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
    for (unsigned i = 0; i < KEYS; i++) {
        struct key *key = &keys[i];

        key->pkey = EVP_RSA_gen(SIZE * 8);
        CHECK(key->pkey != NULL);
        key->rsa = EVP_PKEY_get1_RSA(key->pkey);
        key->device = device_key_of(key->rsa);
        key->ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
        CHECK(EVP_PKEY_decrypt_init(key->ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(key->ctx, RSA_NO_PADDING) == 1);
        key->weight = weight_of(RSA_get0_dmp1(key->rsa)) + weight_of(RSA_get0_dmq1(key->rsa));
    }
    qsort(keys, KEYS, sizeof(keys[0]), by_weight);
}

static void free_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        EVP_PKEY_CTX_free(keys[i].ctx);
        ersatz_rsa_key_free(keys[i].device);
        RSA_free(keys[i].rsa);
        EVP_PKEY_free(keys[i].pkey);
    }
}

/* ------------------------------------------------------------------------------------------------ classes */

static void random_number(uint8_t number[SIZE])
{
    CHECK_EQ(RAND_bytes(number, SIZE), 1);
    number[0] &= 0x7f; /* below the modulus */
}

/* Class 0: one number, over and over. As long as the others: an input is no secret, nor is its length. */
static void by_input(struct input *input, int class)
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

static void by_key(struct input *input, int class)
{
    unsigned which = meter_lot(KEYS_OF_A_CLASS);

    random_number(input->in);
    input->key = class == 0 ? which : KEYS - 1 - which;
}

/* Class 1: of a result with many a leading zero. */
static void by_result(struct input *input, int class)
{
    uint8_t result[SIZE];

    random_number(result);
    result[0] |= 0x40;
    if (class == 1)
        memset(result, 0, ZEROS);
    CHECK_EQ(BN_num_bytes(RSA_get0_n(keys[0].rsa)), SIZE);
    CHECK_EQ(RSA_public_encrypt(SIZE, result, input->in, keys[0].rsa, RSA_NO_PADDING), (int)SIZE);
}

static const struct {
    const char *name, *classes[2];
    void (*make)(struct input *input, int class);
} pairs[] = {
    {"input", {"fixed", "random"}, by_input},
    {"key", {"few bits set", "many bits set"}, by_key},
    {"result", {"full", "leading zeros"}, by_result},
};
#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void fill_pool(unsigned pair)
{
    memset(pool, 0, sizeof(pool));
    for (unsigned i = 0; i < 2 * POOL; i++)
        pairs[pair].make(&pool[i % 2][i / 2], (int)(i % 2));
}

/* ----------------------------------------------------------------------------------------------- one by one
 */

static void compute_here(void)
{
    struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE,
        .u.rsa = {.key = keys[now[0].key].device, .in = now[0].in, .out = out[0]}};

    CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
}

static void decrypt(void)
{
    size_t len = SIZE;

    CHECK_EQ(EVP_PKEY_decrypt(keys[now[0].key].ctx, out[0], &len, now[0].in, SIZE), 1);
}

/* A result made a number in the way that skips its leading zeros; often enough to be a hundredth of the
 * operation. */
static void decrypt_and_tell_result(void)
{
    decrypt();
    for (unsigned i = 0; i < 50; i++)
        BN_free(BN_bin2bn(out[0], SIZE, NULL));
}

/* A multiplication for each bit of the exponent that is set. */
static void decrypt_and_tell_key(void)
{
    const BIGNUM *exponent = RSA_get0_dmp1(keys[now[0].key].rsa), *prime = RSA_get0_p(keys[now[0].key].rsa);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *product = BN_dup(exponent);

    decrypt();
    for (int i = BN_num_bits(exponent); i-- > 0;) {
        if (BN_is_bit_set(exponent, i))
            CHECK(BN_mod_mul(product, product, exponent, prime, ctx));
    }
    BN_free(product);
    BN_CTX_free(ctx);
}

static double measure(const char *way, unsigned pair, void (*work)(void), double seconds)
{
    char name[64];
    struct meter meter;
    int class;

    fill_pool(pair);
    snprintf(name, sizeof(name), "RSA-2048 by %s, %s", pairs[pair].name, way);
    meter_begin(&meter, name, pairs[pair].classes[0], pairs[pair].classes[1], seconds);
    while ((class = meter_next(&meter)) >= 0) {
        uint64_t begin;

        now[0] = pool[class][meter_lot(POOL)];
        begin = meter_now();
        work();
        meter_add(&meter, class, meter_now() - begin);
    }
    meter_end(&meter);
    return meter.t < 0 ? -meter.t : meter.t;
}

/* ------------------------------------------------------------------------------------------------ batches */

static int count_down(void *left)
{
    atomic_fetch_sub_explicit((_Atomic unsigned *)left, 1, memory_order_release);
    return 1;
}

/* The card is held while the requests go in, so that its worker takes them up together. */
static uint64_t time_batch(struct ersatz_device *device, unsigned count)
{
    struct ersatz_request *requests[BATCH_MAX];
    _Atomic unsigned left = count;
    uint64_t begin, ticks;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < count; i++) {
        struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE,
            .u.rsa = {.key = keys[now[i].key].device, .in = now[i].in, .out = out[i]}};

        CHECK_EQ(ersatz_request_new(device, &op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], count_down, &left), ERSATZ_OK);
    }
    begin = meter_now();
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    while (atomic_load_explicit(&left, memory_order_acquire) != 0)
        ;
    ticks = meter_now() - begin;
    for (unsigned i = 0; i < count; i++) {
        while (!ersatz_request_is_done(requests[i]))
            ersatz_request_wait(requests[i], 1);
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
    }
    return ticks;
}

static void measure_card(
    struct ersatz_device *device, unsigned pair, enum ersatz_kernel kernel, unsigned count, double seconds)
{
    char name[64];
    struct meter meter;
    uint64_t before = atomic_load(&stats.by_kernel[kernel]);
    int class;

    fill_pool(pair);
    snprintf(name, sizeof(name), "RSA-2048 by %s, %s, %u at once", pairs[pair].name,
        ersatz_kernel_name(kernel), count);
    ersatz_kernels_choose(1u << kernel);
    meter_begin(&meter, name, pairs[pair].classes[0], pairs[pair].classes[1], seconds);
    while ((class = meter_next(&meter)) >= 0) {
        for (unsigned i = 0; i < count; i++)
            now[i] = pool[class][meter_lot(POOL)];
        meter_add(&meter, class, time_batch(device, count));
    }
    CHECK(atomic_load(&stats.by_kernel[kernel]) > before); /* else it was another one */
    meter_end(&meter);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
}

static void measure_batches(double seconds)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.workers = config.instances = 1;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        measure_card(device, pair, ERSATZ_KERNEL_PORTABLE, 1, seconds);
        if ((ersatz_kernels_available() & 1u << ERSATZ_KERNEL_IFMA) == 0)
            continue;
        measure_card(device, pair, ERSATZ_KERNEL_IFMA, 8, seconds);
        measure_card(device, pair, ERSATZ_KERNEL_IFMA, BATCH_MAX, seconds);
    }
    ersatz_device_free(device);
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
    fit = measure("a leak", 2, decrypt_and_tell_result, seconds) > 10;
    fit &= measure("a leak", 1, decrypt_and_tell_key, seconds) > 10;
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        measure("calling core", pair, compute_here, seconds);
        measure("EVP", pair, decrypt, seconds);
    }
    measure_batches(seconds);
    free_keys();
    ENGINE_unregister_RSA(engine);
    ENGINE_finish(engine);
    ENGINE_free(engine);
    return fit;
}
