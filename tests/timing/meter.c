/* SPDX-License-Identifier: Apache-2.0 */
/* See meter.h. */
#include "meter.h"

#include <math.h>
#include <openssl/rand.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "check.h"

#define MEASUREMENTS_MAX 500000u /* of a class */
#define WARM_UP_MAX 100u         /* of a class, or a tenth of all: caches and predictors; not counted */
#define AT_LEAST 50u             /* of a class, for a crop to be looked at */

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t meter_now(void)
{
#if defined(__x86_64__)
    uint64_t now;

    _mm_lfence(); /* what was to be measured has ended, or has not begun */
    now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return nanoseconds();
#endif
}

void meter_begin(
    struct meter *meter, const char *name, const char *class_0, const char *class_1, double seconds)
{
    *meter = (struct meter){.name = name, .classes = {class_0, class_1}};
    for (unsigned i = 0; i < 2; i++) {
        meter->ticks[i] = malloc(MEASUREMENTS_MAX * sizeof(float));
        CHECK(meter->ticks[i] != NULL);
    }
    meter->end = nanoseconds() + (uint64_t)(seconds * 1e9);
}

int meter_next(struct meter *meter)
{
    unsigned char lot;

    if (nanoseconds() > meter->end || meter->count[0] == MEASUREMENTS_MAX ||
        meter->count[1] == MEASUREMENTS_MAX)
        return -1;
    CHECK_EQ(RAND_bytes(&lot, 1), 1);
    return lot & 1;
}

unsigned meter_lot(unsigned count)
{
    unsigned char lot;

    CHECK_EQ(RAND_bytes(&lot, 1), 1);
    return lot % count;
}

void meter_add(struct meter *meter, int class, uint64_t ticks)
{
    meter->ticks[class][meter->count[class]++] = (float)ticks;
}

struct moments {
    double count, mean, variance;
};

/* Of what is not above the limit; Welford's recurrence. */
static struct moments moments_below(const float *ticks, uint32_t count, float limit)
{
    struct moments m = {0};
    double squares = 0;

    for (uint32_t i = count / 10 < WARM_UP_MAX ? count / 10 : WARM_UP_MAX; i < count; i++) {
        double delta;

        if (ticks[i] > limit)
            continue;
        m.count++;
        delta = ticks[i] - m.mean;
        m.mean += delta / m.count;
        squares += delta * (ticks[i] - m.mean);
    }
    m.variance = m.count > 1 ? squares / (m.count - 1) : 0;
    return m;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Both classes together: a limit of one class alone would shape the two in different ways. */
static float *sort_all(const struct meter *meter, uint32_t *count)
{
    float *all;

    *count = meter->count[0] + meter->count[1];
    all = malloc((*count + 1) * sizeof(float));
    CHECK(all != NULL);
    memcpy(all, meter->ticks[0], meter->count[0] * sizeof(float));
    memcpy(all + meter->count[0], meter->ticks[1], meter->count[1] * sizeof(float));
    qsort(all, *count, sizeof(float), by_size);
    return all;
}

static void try_crop(struct meter *meter, float limit, double crop)
{
    struct moments a = moments_below(meter->ticks[0], meter->count[0], limit);
    struct moments b = moments_below(meter->ticks[1], meter->count[1], limit);
    double error, t;

    if (a.count < AT_LEAST || b.count < AT_LEAST)
        return;
    error = sqrt(a.variance / a.count + b.variance / b.count);
    t = error > 0 ? (b.mean - a.mean) / error : 0;
    if (fabs(t) < fabs(meter->t))
        return;
    meter->t = t;
    meter->gap = b.mean - a.mean;
    meter->mean = a.mean;
    meter->crop = crop;
}

void meter_end(struct meter *meter)
{
    static const double crops[] = {1, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25};
    uint32_t count;
    float *all = sort_all(meter, &count);

    for (unsigned i = 0; i < sizeof(crops) / sizeof(crops[0]) && count > 0; i++)
        try_crop(meter, all[(uint32_t)((count - 1) * crops[i])], crops[i]);
    if (meter->crop == 0) {
        printf("%-42s %-17s %-17s %8u too few to say anything: measure longer\n", meter->name,
            meter->classes[0], meter->classes[1], count);
    } else {
        printf("%-42s %-17s %-17s %8u %12.0f %+10.1f %8.2f %6.1f%%\n", meter->name, meter->classes[0],
            meter->classes[1], count, meter->mean, meter->gap, meter->t, meter->crop * 100);
    }
    fflush(stdout);
    free(all);
    free(meter->ticks[0]);
    free(meter->ticks[1]);
}
