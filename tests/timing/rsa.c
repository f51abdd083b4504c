/* See timing.h. One operation on the calling core; one through the card; and full batches on the card, by
 * each kernel that this processor has. */
#include <openssl/bn.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#include "check.h"
#include "ersatz/device.h"
#include "rsa_numbers.h"
#include "timing.h"

#define SIZE 256
#define BATCH_MAX 64u

static struct ersatz_stats stats;
static struct ersatz_rsa_key *key;
static uint8_t in[BATCH_MAX][SIZE], out[BATCH_MAX][SIZE];

static void make_key(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *f4 = BN_new();

    CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(rsa, SIZE * 8, f4, NULL));
    key = device_key_of(rsa);
    BN_free(f4);
    RSA_free(rsa);
}

/* Class 0: the number 2, mostly zeros, in every lane. Both classes take the same steps. */
static void make_inputs(int class, unsigned count)
{
    static const uint8_t fixed[SIZE] = {[SIZE - 1] = 2};
    uint8_t random[SIZE];

    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(RAND_bytes(random, SIZE), 1);
        random[0] &= 0x7f; /* below the modulus */
        memcpy(in[i], class == 0 ? fixed : random, SIZE);
    }
}

static struct ersatz_op op_of(unsigned i)
{
    return (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE, .u.rsa = {.key = key, .in = in[i], .out = out[i]}};
}

static void measure_here(double seconds)
{
    struct ersatz_op op = op_of(0);
    struct meter meter;
    int class;

    meter_begin(&meter, "RSA-2048, calling core", "fixed", "random", seconds);
    while ((class = meter_next(&meter)) >= 0) {
        uint64_t begin;

        make_inputs(class, 1);
        begin = meter_now();
        CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
        meter_add(&meter, class, meter_now() - begin);
    }
    meter_end(&meter);
}

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
        struct ersatz_op op = op_of(i);

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
    struct ersatz_device *device, enum ersatz_kernel kernel, unsigned count, double seconds)
{
    char name[64];
    struct meter meter;
    uint64_t before = atomic_load(&stats.by_kernel[kernel]);
    int class;

    snprintf(name, sizeof(name), "RSA-2048, card, %s, %u at once", ersatz_kernel_name(kernel), count);
    ersatz_kernels_choose(1u << kernel);
    meter_begin(&meter, name, "fixed", "random", seconds);
    while ((class = meter_next(&meter)) >= 0) {
        make_inputs(class, count);
        meter_add(&meter, class, time_batch(device, count));
    }
    CHECK(atomic_load(&stats.by_kernel[kernel]) > before); /* else it was another one */
    meter_end(&meter);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
}

void measure_rsa(double seconds)
{
    static const unsigned counts[] = {1, 8, 64};
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    make_key();
    measure_here(seconds);
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = 1;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i] <= 8)
            measure_card(device, ERSATZ_KERNEL_PORTABLE, counts[i], seconds);
        if ((ersatz_kernels_available() & 1u << ERSATZ_KERNEL_IFMA) != 0 && counts[i] >= 8)
            measure_card(device, ERSATZ_KERNEL_IFMA, counts[i], seconds);
    }
    ersatz_device_free(device);
    ersatz_rsa_key_free(key);
}
