/* Each eventfd, thread and ring that a device asks for at its start refused in turn: a clear error, and no
 * descriptor left behind. */
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ersatz/device.h"
#include "ersatz/profile.h"
#include "proc.h"

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __real_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);

static long countdown; /* the call that fails; calls are one after the other: each start is waited for */
static int error_number;

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

int __wrap_eventfd(unsigned count, int flags)
{
    if (!fails())
        return __real_eventfd(count, flags);
    errno = error_number;
    return -1;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    return fails() ? error_number : __real_pthread_create(thread, attr, start, arg);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    return fails() ? -error_number : __real_io_uring_queue_init_params(entries, ring, params);
}

/* Whether a call failed. */
static bool start(long failing, bool modelled)
{
    static const struct ersatz_profile profile = {.name = "test", .latency_ns = 1};
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_error error = {.result = ERSATZ_OK};
    struct ersatz_device *device = NULL;

    ersatz_config_init(&config, &stats);
    config.profile = modelled ? &profile : NULL;
    countdown = failing;
    if (ersatz_device_open(&config, &device, &error) == ERSATZ_OK) {
        CHECK(countdown > 0 || failing == 0);
        ersatz_device_free(device);
        countdown = 0;
        return false;
    }
    CHECK(countdown == 0 && failing > 0);
    CHECK(error.result != ERSATZ_OK && error.text[0] != '\0');
    return true;
}

int main(void)
{
    static const int errors[] = {EMFILE, ENOMEM, EAGAIN, EPERM};
    int before, failures[2] = {0, 0};

    test_begin(40);
    start(0, true);
    before = count_descriptors();
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        error_number = errors[e];
        for (int modelled = 0; modelled < 2; modelled++) {
            for (long call = 1; start(call, modelled == 1); call++, failures[modelled]++)
                CHECK_EQ(count_descriptors(), before);
        }
    }
    CHECK(failures[0] >= 16); /* a ring for an instance; doorbell, thread and ring for a worker */
    CHECK_EQ(failures[1], failures[0] + 4 * 3); /* the same for the delay line */
    printf("%d starts refused\n", failures[0] + failures[1]);
    return 0;
}
