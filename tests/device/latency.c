/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of latencies: percentiles against sorted values; what a card counts; rings that are shown. */
#include <ersatz/latency.h>

#include "base/random.h"
#include "fault_card.h"

#define VALUES 20000u

static struct ersatz_latency latency;
static uint64_t values[VALUES];

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Values of every size, up to 2^bits. */
static void test_percentiles(unsigned bits)
{
    static const unsigned asked[] = {1, 10000, 500000, 900000, 990000, 999000, 999999, 1000000};

    memset(&latency, 0, sizeof(latency));
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_AES_GCM, 500000), 0);
    for (unsigned i = 0; i < VALUES; i++) {
        values[i] = random_nth(bits, i + 1) >> (64 - bits + random_nth(bits + 100, i + 1) % bits);
        ersatz_latency_count(&latency, ERSATZ_REQUEST_AES_GCM, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), by_size);
    CHECK_EQ(ersatz_latency_total(&latency, ERSATZ_REQUEST_AES_GCM), VALUES);
    CHECK_EQ(ersatz_latency_total(&latency, ERSATZ_REQUEST_AES_CBC), 0);
    for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        uint64_t rank = ((uint64_t)VALUES * asked[i] + 999999) / 1000000;
        uint64_t exact = values[rank - 1],
                 got = ersatz_latency_percentile(&latency, ERSATZ_REQUEST_AES_GCM, asked[i]);

        CHECK(got >= exact && got <= exact + exact / 16);
    }
}

static void test_ends(void)
{
    memset(&latency, 0, sizeof(latency));
    for (uint64_t ns = 1; ns <= 3; ns++)
        ersatz_latency_count(&latency, ERSATZ_REQUEST_RSA_PRIV, ns);
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_RSA_PRIV, 333333), 1);
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_RSA_PRIV, 500000), 2);
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_RSA_PRIV, 666667), 3);
    memset(&latency, 0, sizeof(latency));
    ersatz_latency_count(&latency, ERSATZ_REQUEST_RSA_PRIV, 0);
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_RSA_PRIV, 1000000), 0);
    ersatz_latency_count(&latency, ERSATZ_REQUEST_RSA_PRIV, UINT64_MAX);
    ersatz_latency_count(&latency, ERSATZ_REQUEST_RSA_PRIV, UINT64_C(1) << 41);
    CHECK_EQ(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_RSA_PRIV, 1000000), (UINT64_C(1) << 41) - 1);
    CHECK_EQ(ersatz_latency_total(&latency, ERSATZ_REQUEST_RSA_PRIV), 3);
}

/* What a card shows of its rings while requests are in flight; a second card at the same time shows
 * nothing. */
static void test_card(void)
{
    static struct ersatz_load load;
    struct ersatz_device *device, *other;
    struct ersatz_config config;
    struct ersatz_error error;
    struct flight flights[5];

    memset(&latency, 0, sizeof(latency));
    CHECK_EQ(ersatz_faults_parse("late=100%:20ms", &faults, &(size_t){0}, &error), ERSATZ_OK);
    ersatz_config_init(&config, &stats);
    config.instances = 1;
    config.ring_depth = 8;
    config.faults = &faults;
    config.latency = &latency;
    config.load = &load;
    for (unsigned round = 0; round < 2; round++) {
        CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
        CHECK_EQ(ersatz_device_open(&config, &other, &error), ERSATZ_OK);
        CHECK(load.instances == 1 && load.ring_depth == 8 && load.workers == config.workers);
        ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
        ersatz_device_hold(other, ERSATZ_HOLD_COMPUTE);
        for (unsigned i = 0; i < 5; i++)
            CHECK_EQ(take_off(i < 3 ? device : other, &flights[i], i % 2 == 1), ERSATZ_OK);
        CHECK_EQ(load.of[0].in_flight, 3);
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
        ersatz_device_hold(other, ERSATZ_HOLD_NONE);
        for (unsigned i = 0; i < 5; i++)
            land(&flights[i], ERSATZ_OK, NULL);
        ersatz_device_free(other);
        CHECK_EQ(load.taken, 1);
        ersatz_device_free(device);
        CHECK(load.taken == 0 && load.of[0].in_flight == 0);
    }
    CHECK_EQ(ersatz_latency_total(&latency, ERSATZ_REQUEST_AES_CBC), 10);
    CHECK(ersatz_latency_percentile(&latency, ERSATZ_REQUEST_AES_CBC, 1) >= 20000000);
}

int main(void)
{
    test_begin(60);
    test_percentiles(40);
    test_percentiles(20);
    test_percentiles(6);
    test_ends();
    test_card();
    return 0;
}
