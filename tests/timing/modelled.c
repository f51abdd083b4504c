/* SPDX-License-Identifier: Apache-2.0 */
/* Whether modelled cards keep their times: how late an answer comes after it was due, for delays of several
 * lengths; and throughput and latency of profiles, asked and measured side by side.
 *
 *   modelled [SECONDS_PER_LINE [precision|profiles ...]]
 */
#include <math.h>

#include "check.h"
#include "load.h"

#define US UINT64_C(1000)

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static void measure_delay(uint64_t latency_ns, unsigned jobs, double seconds)
{
    struct ersatz_profile profile = {.name = "delay", .latency_ns = latency_ns};
    static const struct load_kind kind = {ERSATZ_REQUEST_AES_CTR, 2048};
    struct load load;

    load_run(&profile, &kind, jobs, seconds, &load);
    printf("%9.0f us %5u | %7.1f %7.1f %9.1f | %7.1f %7.1f %9.1f | %5u %8u\n", us(latency_ns), jobs,
        us(load_quantile(load.told, load.count, 0.5)), us(load_quantile(load.told, load.count, 0.99)),
        us(load_quantile(load.told, load.count, 1)), us(load_quantile(load.seen, load.count, 0.5)),
        us(load_quantile(load.seen, load.count, 0.99)), us(load_quantile(load.seen, load.count, 1)),
        load.early, load.count);
    CHECK_EQ(load.early, 0);
    load_free(&load);
}

static void measure_precision(double seconds)
{
    static const uint64_t latencies[] = {50 * US, 200 * US, 1000 * US, 10000 * US};
    static const unsigned jobs[] = {1, 64};

    puts("How many us after it was due an answer came, AES of 2 KB");
    puts("              |  signal posted             |  read by the application   |");
    puts("    asked  jobs |  median    99 %     worst |  median    99 %     worst | early  samples");
    for (unsigned j = 0; j < sizeof(jobs) / sizeof(jobs[0]); j++) {
        for (unsigned i = 0; i < sizeof(latencies) / sizeof(latencies[0]); i++)
            measure_delay(latencies[i], jobs[j], seconds);
    }
}

/* What a card of that profile does with so many jobs: its units are the limit, or the jobs are. */
static double expected_per_second(
    const struct ersatz_profile *profile, const struct load_kind *kind, unsigned jobs)
{
    bool is_aes = kind->name == ERSATZ_REQUEST_AES_CTR;
    double service = (double)ersatz_profile_service_ns(profile, kind->name, is_aes ? kind->bytes : 2048);
    double mean_jitter = profile->jitter.kind == ERSATZ_JITTER_UNIFORM
                             ? (double)(profile->jitter.a_ns + profile->jitter.b_ns) / 2
                             : (double)profile->jitter.a_ns;
    unsigned units = profile->units != 0 ? profile->units : is_aes ? profile->aes_units : profile->rsa_units;
    double by_jobs = jobs * 1e9 / (service + (double)profile->latency_ns + mean_jitter);

    return units == 0 ? by_jobs : fmin(by_jobs, units * 1e9 / service);
}

static void measure_profile(
    const char *name, const char *what, struct load_kind kind, unsigned jobs, double seconds)
{
    struct ersatz_profile profile;
    struct ersatz_error error;
    struct load load;

    CHECK_EQ(ersatz_profile_read(name, &profile, &error), ERSATZ_OK);
    load_run(&profile, &kind, jobs, seconds, &load);
    printf("%-12s %-14s %4u | %9.1f %9.1f | %9.1f %9.1f | %5.1f %% of %u\n", name, what, jobs,
        expected_per_second(&profile, &kind, jobs), load.per_second, load.asked_ns / 1000,
        load.reached_ns / 1000, load.count == 0 ? 0 : 100.0 * load.late / load.count, load.count);
    CHECK_EQ(load.early, 0);
    load_free(&load);
}

static void measure_profiles(double seconds)
{
    static const struct load_kind sign = {ERSATZ_REQUEST_RSA_PRIV, 0}, verify = {ERSATZ_REQUEST_RSA_PUB, 0},
                                  aes = {ERSATZ_REQUEST_AES_CTR, 4096};

    puts("Profiles, asked and measured (asked a second: what units, times and jobs come to)");
    puts("                                 |   operations/s      |   us for one        | computed too");
    puts("profile      operation      jobs |     asked  measured |     asked  measured | late");
    measure_profile("usb-token", "RSA-2048 sign", sign, 1, seconds);
    measure_profile("usb-token", "RSA-2048 sign", sign, 4, seconds);
    measure_profile("network-hsm", "RSA-2048 sign", sign, 1, seconds);
    measure_profile("network-hsm", "RSA-2048 sign", sign, 30, seconds);
    measure_profile("network-hsm", "RSA-2048 sign", sign, 64, seconds);
    measure_profile("qat-c62x", "RSA-2048 sign", sign, 1, seconds);
    measure_profile("qat-c62x", "RSA-2048 sign", sign, 4, seconds);
    measure_profile("qat-c62x", "RSA-2048 sign", sign, 64, seconds);
    measure_profile("qat-c62x", "RSA-2048 ver.", verify, 4, seconds);
    measure_profile("qat-c62x", "AES-CTR, 4 KB", aes, 4, seconds);
    measure_profile("qat-4xxx", "RSA-2048 sign", sign, 1, seconds);
    measure_profile("qat-4xxx", "AES-CTR, 4 KB", aes, 4, seconds);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 2;

    CHECK(seconds > 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "precision") != 0 && strcmp(argv[i], "profiles") != 0) {
            fprintf(stderr, "modelled: \"%s\" is not known; expected precision or profiles\n", argv[i]);
            return 2;
        }
    }
    for (int i = 2; i < argc || (i == 2 && argc <= 2); i++) {
        if (argc <= 2 || strcmp(argv[i], "precision") == 0)
            measure_precision(seconds);
        if (argc <= 2 || strcmp(argv[i], "profiles") == 0)
            measure_profiles(seconds);
    }
    return 0;
}
