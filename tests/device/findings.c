/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of the application, without an engine: what was found lies in memory that is shared, is kept
 * within bounds, and is there when the process was killed in the middle.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "card.h"

#define MANY 100

static struct ersatz_request *submit(
    struct ersatz_device *device, struct ersatz_waker *waker, const struct aes *aes)
{
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    return request;
}

static void wait_for(struct ersatz_waker *waker)
{
    struct pollfd poll_fd = {.fd = ersatz_waker_fd(waker), .events = POLLIN};

    CHECK_EQ(poll(&poll_fd, 1, -1), 1);
}

static bool says(const struct ersatz_findings *findings, const char *text)
{
    char *report = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&report, &size);
    bool found;

    CHECK(memory != NULL && ersatz_findings_write(findings, memory) && fclose(memory) == 0);
    found = strstr(report, text) != NULL;
    if (!found)
        fprintf(stderr, "no \"%s\" in: %s\n", text, report);
    free(report);
    return found;
}

/* Told, left alone, and then killed: the reader counts it, and knows who submitted it. */
static void killed(struct ersatz_findings *findings)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        struct ersatz_stats stats = {0};
        struct ersatz_device *device = card_open_checked(&stats, findings, false);
        struct ersatz_waker *waker;

        CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
        submit(device, waker, aes_new(1));
        for (;;)
            pause();
    }
    while (atomic_load(&findings->unanswered) == 0)
        usleep(1000);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_NEVER_RESUMED), 1);
    CHECK_EQ(ersatz_findings_total(findings), 1);
    CHECK(says(findings, "never_resumed, 1 time") && says(findings, "AES-CBC of 2048 bytes, request 1") &&
          says(findings, "device-findings+0x") && says(findings, "may still be resumed"));
}

/* Not resumed for long, but then it is: late, and not lost. */
static void late(struct ersatz_findings *findings)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open_checked(&stats, findings, false);
    struct aes *aes = aes_new(2);
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    request = submit(device, waker, aes);
    while (atomic_load(&findings->unanswered) == 0)
        usleep(1000);
    CHECK(ersatz_request_is_done(request));
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(aes_is_right(aes));
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_NEVER_RESUMED), 0);
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_LATE_ANSWER), 1);
    CHECK(findings->of[ERSATZ_FOUND_LATE_ANSWER].ns >= findings->limits.answer_ms * UINT64_C(1000000));
    CHECK(!atomic_load(&findings->of[ERSATZ_FOUND_NEVER_RESUMED].first[0].kept));
    ersatz_waker_free(waker);
    ersatz_device_free(device);
    CHECK_EQ(ersatz_findings_total(findings), 1);
    aes_free(aes);
}

/* All are counted, the first few are kept, and those that are finished are not accused. */
static void many(struct ersatz_findings *findings)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open_checked(&stats, findings, false);
    unsigned kept = 0;

    for (int i = 0; i < MANY; i++) {
        struct aes *aes = aes_new((uint8_t)i);
        struct ersatz_waker *waker;
        struct ersatz_request *request;

        CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
        request = submit(device, waker, aes);
        wait_for(waker);
        if (i % 2 == 0) {
            while (!ersatz_request_is_done(request))
                wait_for(waker);
            CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
            CHECK(aes_is_right(aes));
        }
        ersatz_waker_free(waker);
        aes_free(aes);
    }
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_NEVER_RESUMED), MANY / 2);
    CHECK_EQ(atomic_load(&findings->watched), MANY);
    for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++)
        kept += atomic_load(&findings->of[ERSATZ_FOUND_NEVER_RESUMED].first[i].kept);
    CHECK_EQ(kept, ERSATZ_SIGHTINGS_KEPT);
    CHECK(says(findings, "and 46 more"));
    ersatz_device_free(device);
    CHECK_EQ(ersatz_findings_total(findings), MANY / 2);
}

/* Resumed over and over, and then given up before it was told: both are found. */
static void polled_and_freed(struct ersatz_findings *findings)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open_checked(&stats, findings, false);
    struct aes *aes = aes_new(3);
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    request = submit(device, waker, aes);
    for (int i = 0; i < 20; i++)
        CHECK(!ersatz_request_is_done(request));
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_BUSY_POLLING), 0); /* a few may not be many yet */
    ersatz_waker_free(waker);
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_BUSY_POLLING), 1);
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_FREED_IN_FLIGHT), 1);
    CHECK(says(findings, "resumed 20 times in ") && says(findings, "20 early resumptions in "));
    ersatz_device_free(device);
    CHECK_EQ(ersatz_findings_total(findings), 2);
    aes_free(aes);
}

/* ---------------------------------------------------------------------------------------------- callbacks */

static struct ersatz_findings *seen_by_callback;

static int look_at_myself(void *arg)
{
    CHECK_EQ(ersatz_findings_running(seen_by_callback), 1);
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 1;
}

/* While it runs, and not before or after, on the device's thread and on that of an application which
 * polls. */
static void running(struct ersatz_findings *findings, bool polled)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open_checked(&stats, findings, polled);
    struct aes *aes = aes_new(4);
    struct ersatz_request *request;
    _Atomic int called = 0;

    seen_by_callback = findings;
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_findings_running(findings), 0);
    CHECK_EQ(ersatz_submit_callback(request, look_at_myself, (void *)&called), ERSATZ_OK);
    while (!ersatz_request_is_done(request)) {
        if (polled)
            ersatz_device_poll(device);
        usleep(1000);
    }
    CHECK_EQ(called, 1);
    CHECK_EQ(ersatz_findings_running(findings), 0);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    ersatz_device_free(device);
    CHECK(aes_is_right(aes));
    aes_free(aes);
}

/* Its wait context is gone: the callback is not called, and that is found. */
static void lost(struct ersatz_findings *findings)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open_checked(&stats, findings, false);
    struct aes *aes = aes_new(5);
    struct ersatz_request *request;
    _Atomic int called = 0;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, look_at_myself, (void *)&called), ERSATZ_OK);
    ersatz_request_lost(request, false, true);
    CHECK_EQ(ersatz_findings_count(findings, ERSATZ_FOUND_FREED_IN_FLIGHT), 1);
    CHECK_EQ(atomic_load(&stats.orphans), 1);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    while (!ersatz_request_is_done(request))
        usleep(1000);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    ersatz_device_free(device);
    CHECK_EQ(called, 0);
    CHECK_EQ(ersatz_findings_total(findings), 1);
    aes_free(aes);
}

int main(void)
{
    struct ersatz_findings *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    test_begin(120);
    CHECK(shared != MAP_FAILED);
    CHECK_EQ(ersatz_findings_total(shared), 0); /* zeroed memory is a report of nothing */
    killed(shared); /* first: the child of a fork would be without this process's threads */
    late(shared);
    many(shared);
    polled_and_freed(shared);
    running(shared, false);
    running(shared, true);
    lost(shared);
    munmap(shared, sizeof(*shared));
    return 0;
}
