/*
 * A thread that only waits for its RSA operation does it itself, and wakes no worker. Where requests are held
 * the card behaves as a card: a worker does it.
 */
#include <openssl/bn.h>
#include <openssl/rsa.h>
#include <pthread.h>

#include "card.h"

#define OPERATIONS 20u
#define SIZE 128

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct ersatz_op op;
static uint8_t in[SIZE], out[SIZE], wanted[SIZE];

static struct ersatz_bytes bytes_of(const BIGNUM *number, uint8_t *buffer)
{
    return (struct ersatz_bytes){buffer, (size_t)BN_bn2bin(number, buffer)};
}

static void make_operation(void)
{
    uint8_t n[SIZE], e[SIZE], d[SIZE];
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    struct ersatz_rsa_numbers numbers = {0};

    CHECK(BN_set_word(exponent, 65537) && RSA_generate_key_ex(rsa, SIZE * 8, exponent, NULL));
    numbers.n = bytes_of(RSA_get0_n(rsa), n);
    numbers.e = bytes_of(RSA_get0_e(rsa), e);
    numbers.d = bytes_of(RSA_get0_d(rsa), d);
    op = (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE, .u.rsa = {.in = in, .out = out}};
    CHECK_EQ(ersatz_rsa_key_new(&numbers, &op.u.rsa.key), ERSATZ_OK);
    in[SIZE - 1] = 42;
    CHECK_EQ(RSA_private_encrypt(SIZE, in, wanted, rsa, RSA_NO_PADDING), SIZE);
    RSA_free(rsa);
    BN_free(exponent);
}

static void *do_one(void *arg)
{
    struct ersatz_request *request;

    memset(out, 0, sizeof(out));
    CHECK_EQ(ersatz_request_new(device, &op, false, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(memcmp(out, wanted, SIZE) == 0);
    return arg;
}

static uint64_t sleeps(void)
{
    return atomic_load(&stats.sleeps);
}

int main(void)
{
    pthread_t thread;
    uint64_t enters;

    test_begin(60);
    make_operation();
    device = card_open(&stats, 1, 0, false);
    while (sleeps() == 0)
        usleep(1000);
    enters = atomic_load(&stats.io_uring_enters);
    for (unsigned i = 0; i < OPERATIONS; i++)
        do_one(NULL);
    CHECK_EQ(atomic_load(&stats.io_uring_enters), enters); /* a worker's sleep is counted when it ends */
    CHECK_EQ(atomic_load(&stats.requests[ERSATZ_REQUEST_RSA_PRIV]), OPERATIONS);
    CHECK_EQ(atomic_load(&stats.completed), OPERATIONS);
    CHECK_EQ(atomic_load(&stats.in_flight[ERSATZ_FLIGHT_ALL]), 0);

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(pthread_create(&thread, NULL, do_one, NULL), 0);
    while (atomic_load(&stats.requests[ERSATZ_REQUEST_RSA_PRIV]) == OPERATIONS)
        usleep(1000);
    CHECK_EQ(atomic_load(&stats.completed), OPERATIONS);
    ersatz_device_release(device, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&stats.completed), OPERATIONS + 1);
    ersatz_device_free(device);
    ersatz_rsa_key_free(op.u.rsa.key);
    return 0;
}
