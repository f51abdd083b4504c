/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that are out of range, and descriptors that run out at every step of starting: a reason, and nothing
 * left behind. */
#include <fcntl.h>
#include <sys/resource.h>

#include "card.h"

static void refuse(void (*change)(struct ersatz_config *), const char *text)
{
    struct ersatz_stats stats = {0};
    struct ersatz_config config;
    struct ersatz_device *device = (void *)&config;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    change(&config);
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_BAD_CONFIG);
    CHECK(device == NULL && error.result == ERSATZ_BAD_CONFIG);
    CHECK(strstr(error.text, text) != NULL);
}

static void no_workers(struct ersatz_config *config)
{
    config->workers = 0;
}

static void many_instances(struct ersatz_config *config)
{
    config->instances = ERSATZ_INSTANCES_MAX + 1;
}

static void odd_depth(struct ersatz_config *config)
{
    config->ring_depth = 6;
}

static int first_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

/* One more descriptor each time, until there are enough. A card keeps none: its rings have one while they are
 * made, one after the other. */
static void run_out(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_config config;
    struct ersatz_device *device = NULL;
    struct ersatz_error error;
    int first = first_free(), steps = 0;

    ersatz_config_init(&config, &stats);
    config.workers = config.instances = 3;
    for (rlim_t limit = (rlim_t)first; device == NULL; limit++) {
        struct rlimit rlimit = {.rlim_cur = limit, .rlim_max = 4096};
        enum ersatz_result result;

        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rlimit), 0);
        result = ersatz_device_open(&config, &device, &error);
        if (result != ERSATZ_OK) {
            CHECK_EQ(result, ERSATZ_NO_DESCRIPTORS);
            CHECK(strstr(error.text, "ulimit -n") != NULL);
            CHECK(device == NULL);
            steps++;
            rlimit.rlim_cur = 4096;
            CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rlimit), 0);
            CHECK_EQ(first_free(), first);
        }
    }
    CHECK_EQ(steps, 1);
    CHECK_EQ(first_free(), first);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    refuse(no_workers, "WORKERS is 0; it must be from 1 to 1024");
    refuse(many_instances, "INSTANCES is 1025");
    refuse(odd_depth, "a power of two from 1 to 32768");
    run_out();
    return 0;
}
