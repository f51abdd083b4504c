/* SPDX-License-Identifier: Apache-2.0 */
/* See load.h. */
#include "load.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>
#include <sys/epoll.h>

#include "check.h"
#include "device/request.h"
#include "rsa_numbers.h"

#define SIZE 256
#define JOBS_MAX 512u

struct job {
    struct ersatz_waker *waker;
    struct ersatz_request *request;
    struct ersatz_op op;
    uint8_t *text; /* in and out */
};

/* ------------------------------------------------------------------------------------------- operations */

/* One key of 2048 bits for the whole run of the program. */
static struct ersatz_rsa_key *rsa_key(void)
{
    static struct ersatz_rsa_key *key;
    RSA *rsa;
    BIGNUM *f4;

    if (key != NULL)
        return key;
    rsa = RSA_new();
    f4 = BN_new();
    CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(rsa, SIZE * 8, f4, NULL));
    key = device_key_of(rsa);
    BN_free(f4);
    RSA_free(rsa);
    return key;
}

static void make_op(struct job *job, const struct load_kind *kind)
{
    static const uint8_t key[16] = {1};

    if (kind->name != ERSATZ_REQUEST_AES_CTR) {
        job->text = calloc(1, SIZE);
        CHECK(job->text != NULL);
        job->text[SIZE - 1] = 2;
        job->op.kind = kind->name == ERSATZ_REQUEST_RSA_PRIV ? ERSATZ_RSA_PRIVATE : ERSATZ_RSA_PUBLIC;
        job->op.u.rsa.key = rsa_key();
        job->op.u.rsa.in = job->op.u.rsa.out = job->text;
        return;
    }
    job->text = calloc(1, kind->bytes);
    CHECK(job->text != NULL);
    job->op.kind = ERSATZ_CIPHER;
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CTR, 128, &job->op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(job->op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
    job->op.u.cipher.in = job->op.u.cipher.out = job->text;
    job->op.u.cipher.len = kind->bytes;
}

/* -------------------------------------------------------------------------------------------------- loop */

static void submit(struct ersatz_device *device, struct job *job)
{
    CHECK_EQ(ersatz_request_new(device, &job->op, true, &job->request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(job->request, job->waker), ERSATZ_OK);
}

static void begin(
    struct ersatz_device *device, struct ersatz_stats *stats, struct job *job, unsigned index, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};

    CHECK_EQ(ersatz_waker_new(stats, &job->waker), ERSATZ_OK);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ersatz_waker_fd(job->waker), &event), 0);
    submit(device, job);
}

static void note(struct load *load, const struct ersatz_request *request, uint64_t seen)
{
    uint64_t told = request->times.at[ERSATZ_POINT_SIGNALLED];

    load->early += told < request->due;
    load->late += request->times.at[ERSATZ_POINT_COMPUTED] > request->due;
    if (load->count == LOAD_SAMPLES_MAX)
        return;
    load->told[load->count] = told - request->due;
    load->seen[load->count] = seen - request->due;
    load->asked_ns += (double)(request->due - request->accepted);
    load->reached_ns += (double)(told - request->accepted);
    load->count++;
}

/* Until the time is over; then until the last is done. */
static void loop(struct ersatz_device *device, struct job *jobs, unsigned count, int epoll, double seconds,
    struct load *load)
{
    uint64_t start = clock_now(), end = start + (uint64_t)(1e9 * seconds),
             steady = start + (uint64_t)(1e8 * seconds);
    unsigned running = count, done = 0;

    while (running > 0) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < ready; i++) {
            struct job *job = &jobs[events[i].data.u32];
            uint64_t now;

            if (!ersatz_request_is_done(job->request))
                continue;
            now = clock_now();
            if (now >= steady && now < end) {
                note(load, job->request, now);
                done++;
            }
            CHECK_EQ(ersatz_request_finish(job->request), ERSATZ_OK);
            if (now < end)
                submit(device, job);
            else
                running--;
        }
    }
    load->per_second = done / (0.9 * seconds);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

void load_run(const struct ersatz_profile *profile, const struct load_kind *kind, unsigned jobs,
    double seconds, struct load *load)
{
    static struct job each[JOBS_MAX];
    struct ersatz_stats stats = {0};
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    CHECK(jobs <= JOBS_MAX && epoll >= 0);
    *load = (struct load){.told = calloc(LOAD_SAMPLES_MAX, sizeof(uint64_t)),
        .seen = calloc(LOAD_SAMPLES_MAX, sizeof(uint64_t))};
    CHECK(load->told != NULL && load->seen != NULL);
    ersatz_config_init(&config, &stats);
    config.profile = profile;
    if (profile->instances != 0)
        config.instances = profile->instances;
    if (profile->ring_depth != 0)
        config.ring_depth = profile->ring_depth;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    memset(each, 0, sizeof(each));
    for (unsigned i = 0; i < jobs; i++) {
        make_op(&each[i], kind);
        begin(device, &stats, &each[i], i, epoll);
    }
    loop(device, each, jobs, epoll, seconds, load);
    for (unsigned i = 0; i < jobs; i++) {
        ersatz_waker_free(each[i].waker);
        if (each[i].op.kind == ERSATZ_CIPHER)
            ersatz_cipher_free(each[i].op.u.cipher.cipher);
        free(each[i].text);
    }
    ersatz_device_free(device);
    close(epoll);
    qsort(load->told, load->count, sizeof(uint64_t), compare);
    qsort(load->seen, load->count, sizeof(uint64_t), compare);
    load->asked_ns /= load->count == 0 ? 1 : load->count;
    load->reached_ns /= load->count == 0 ? 1 : load->count;
}

void load_free(struct load *load)
{
    free(load->told);
    free(load->seen);
}

uint64_t load_quantile(const uint64_t *samples, unsigned count, double part)
{
    return count == 0 ? 0 : samples[(unsigned)(part * (count - 1))];
}
