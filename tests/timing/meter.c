/* SPDX-License-Identifier: Apache-2.0 */
/* See meter.h. */
#include "meter.h"

#include <math.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "check.h"

#define MEASUREMENTS_MAX 1000000u
#define WARM_UP_MAX 200u /* or a tenth of all: for caches and predictors; not counted */
#define AT_LEAST 50u     /* measurements of a class, or a crop says nothing */
#define ROUND_MAX 256u   /* inputs */
#define ROUND_BYTES (256u * 1024)

struct sample {
    float ticks;
    uint32_t class;
};

struct samples {
    struct sample *all;
    uint32_t count;
};

/* The crop with the largest t. */
struct outcome {
    double t;
    double difference; /* of the means, in ticks */
    double mean;       /* of class 0 */
    double crop;       /* the share of the measurements that was kept; 0: there were too few for any */
};

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

unsigned meter_lot(unsigned count)
{
    unsigned char lot;

    CHECK_EQ(RAND_bytes(&lot, 1), 1);
    return lot % count;
}

/* --------------------------------------------------------------------------------------------- measuring */

static void measure(const struct trial *trial, double seconds, struct samples *samples)
{
    uint64_t end = nanoseconds() + (uint64_t)(seconds * 1e9);
    size_t round = ROUND_BYTES / trial->input_size;
    unsigned char classes[ROUND_MAX], *inputs, *place;

    round = round > ROUND_MAX ? ROUND_MAX : round < 2 ? 2 : round;
    inputs = malloc(round * trial->input_size);
    place = malloc(trial->input_size);
    CHECK(inputs != NULL && place != NULL);
    while (samples->count < MEASUREMENTS_MAX && nanoseconds() < end) {
        if (trial->prepare != NULL)
            trial->prepare();
        CHECK_EQ(RAND_bytes(classes, (int)round), 1);
        for (size_t i = 0; i < round; i++)
            trial->make(inputs + i * trial->input_size, classes[i] & 1);
        for (size_t i = 0; i < round && samples->count < MEASUREMENTS_MAX && nanoseconds() < end; i++) {
            struct sample *sample = &samples->all[samples->count++];

            memcpy(place, inputs + i * trial->input_size, trial->input_size);
            sample->ticks = (float)trial->time(place);
            sample->class = classes[i] & 1;
        }
    }
    free(inputs);
    free(place);
}

/* ------------------------------------------------------------------------------------------------- t-test */

struct moments {
    double count, mean, squares; /* sum of the squared distances from the mean: Welford's recurrence */
};

static void moments_add(struct moments *m, double value)
{
    double delta = value - m->mean;

    m->count++;
    m->mean += delta / m->count;
    m->squares += delta * (value - m->mean);
}

/* The square of the mean's standard error. */
static double error_of(const struct moments *m)
{
    return m->squares / (m->count - 1) / m->count;
}

/* The limit is one for both classes: one of its own would shape each class in another way. */
static void try_crop(const struct samples *samples, float limit, double crop, struct outcome *outcome)
{
    struct moments of[2] = {0};
    uint32_t warm_up = samples->count / 10 < WARM_UP_MAX ? samples->count / 10 : WARM_UP_MAX;
    double error, t;

    for (uint32_t i = warm_up; i < samples->count; i++) {
        if (samples->all[i].ticks <= limit)
            moments_add(&of[samples->all[i].class], samples->all[i].ticks);
    }
    if (of[0].count < AT_LEAST || of[1].count < AT_LEAST)
        return;
    error = sqrt(error_of(&of[0]) + error_of(&of[1]));
    t = error > 0 ? (of[1].mean - of[0].mean) / error : 0;
    if (fabs(t) >= fabs(outcome->t))
        *outcome =
            (struct outcome){.t = t, .difference = of[1].mean - of[0].mean, .mean = of[0].mean, .crop = crop};
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static struct outcome evaluate(const struct samples *samples)
{
    static const double crops[] = {1, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25};
    struct outcome outcome = {0};
    float *sorted = malloc((samples->count + 1) * sizeof(float));

    CHECK(sorted != NULL);
    for (uint32_t i = 0; i < samples->count; i++)
        sorted[i] = samples->all[i].ticks;
    qsort(sorted, samples->count, sizeof(float), by_size);
    for (unsigned i = 0; i < sizeof(crops) / sizeof(crops[0]) && samples->count > 0; i++)
        try_crop(samples, sorted[(uint32_t)((samples->count - 1) * crops[i])], crops[i], &outcome);
    free(sorted);
    return outcome;
}

double meter_run(const struct trial *trial, double seconds)
{
    struct samples samples = {.all = malloc(MEASUREMENTS_MAX * sizeof(struct sample))};
    struct outcome outcome;

    CHECK(samples.all != NULL);
    memset(samples.all, 0xff, MEASUREMENTS_MAX * sizeof(struct sample)); /* every page is there */
    measure(trial, seconds, &samples);
    outcome = evaluate(&samples);
    printf("%-42s %-17s %-17s %8u ", trial->name, trial->classes[0], trial->classes[1], samples.count);
    if (outcome.crop == 0)
        puts("too few to say anything: measure longer");
    else
        printf("%12.0f %+10.1f %8.2f %6.1f%%\n", outcome.mean, outcome.difference, outcome.t,
            outcome.crop * 100);
    fflush(stdout);
    free(samples.all);
    return fabs(outcome.t);
}
