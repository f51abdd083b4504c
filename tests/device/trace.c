/* SPDX-License-Identifier: Apache-2.0 */
/* The trace of requests: whole, in order, of those that were, those that are abandoned and those still open;
 * bounded; and written out as JSON that counts the same (the form is checked by tests/programs/trace). */
#include <poll.h>

#include "card.h"

#define JOBS 64u
#define ROUNDS 3u

static struct ersatz_trace trace;

static struct ersatz_device *open_traced(struct ersatz_stats *stats)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    memset(&trace, 0, sizeof(trace));
    ersatz_config_init(&config, stats);
    config.workers = 2;
    config.trace = &trace;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

/* Submit, wait, finish: many at a time. */
static void run_some(struct ersatz_device *device, struct ersatz_stats *stats, unsigned count)
{
    struct aes *aes[JOBS];
    struct ersatz_waker *wakers[JOBS];
    struct ersatz_request *requests[JOBS];

    for (unsigned i = 0; i < count; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
    }
    for (unsigned i = 0; i < count; i++) {
        while (!ersatz_request_is_done(requests[i]))
            poll(&(struct pollfd){.fd = ersatz_waker_fd(wakers[i]), .events = POLLIN}, 1, -1);
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        CHECK(aes_is_right(aes[i]));
        ersatz_waker_free(wakers[i]);
        aes_free(aes[i]);
    }
}

/* What must hold for one whose job came back. */
static void check_returned(const struct ersatz_trace_entry *entry)
{
    CHECK(entry->ended && !entry->orphan);
    CHECK_EQ(entry->result, ERSATZ_OK);
    CHECK_EQ(entry->bytes, TEXT);
    CHECK_EQ(entry->op, ERSATZ_REQUEST_AES_CBC);
    CHECK_EQ(entry->told_by, ERSATZ_TOLD_BY_FD);
    CHECK_EQ(entry->submitter, getpid());
    CHECK_EQ(entry->returner, getpid());
    CHECK(entry->worker < 2 && entry->batch >= 1 && entry->batch <= 16);
    for (unsigned point = 1; point < ERSATZ_POINTS; point++)
        CHECK(entry->at[point] >= entry->at[point - 1] && entry->at[0] > 0);
}

static void returned(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_traced(&stats);

    for (unsigned round = 0; round < ROUNDS; round++)
        run_some(device, &stats, JOBS);
    ersatz_device_free(device);
    CHECK_EQ(trace.begun, ROUNDS * JOBS);
    CHECK_EQ(trace.late, 0);
    for (unsigned i = 1; i <= ROUNDS * JOBS; i++) {
        CHECK_EQ(trace.entries[i].turn, 2 * i);
        CHECK_EQ(trace.entries[i].number, i);
        check_returned(&trace.entries[i]);
    }
    CHECK_EQ(trace.entries[ROUNDS * JOBS + 1].turn, 0);
}

/* One that is held is seen as open; when its waker goes and it is computed, as an orphan. */
static void abandoned(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_traced(&stats);
    const struct ersatz_trace_entry *entry = &trace.entries[1];
    struct aes *aes = aes_new(1);
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    CHECK_EQ(entry->turn, 2);
    CHECK(!entry->ended && entry->at[ERSATZ_POINT_SUBMITTED] >= entry->at[ERSATZ_POINT_CREATED]);
    CHECK(entry->at[ERSATZ_POINT_CREATED] > 0 && entry->at[ERSATZ_POINT_STARTED] == 0);
    ersatz_waker_free(waker);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    ersatz_device_stop(device);
    CHECK(entry->ended && entry->orphan);
    CHECK_EQ(entry->returner, 0);
    CHECK_EQ(entry->at[ERSATZ_POINT_RETURNED], 0);
    ersatz_device_free(device);
    aes_free(aes);
}

/* More than there is room for: the newest are kept; one from before that ends late harms none of them. */
static void around(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_traced(&stats);
    struct aes *aes = aes_new(1), *old = aes_new(2);
    struct ersatz_waker *waker;
    struct ersatz_request *request;
    unsigned extra = 100;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &old->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK); /* place 1, not finished yet */
    for (unsigned i = 0; i < ERSATZ_TRACE_ENTRIES + extra; i++) {
        struct ersatz_request *one;

        CHECK_EQ(ersatz_request_new(device, &aes->op, false, &one), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_wait(one, -1), ERSATZ_OK);
        CHECK_EQ(ersatz_request_finish(one), ERSATZ_OK);
    }
    while (!ersatz_request_is_done(request))
        poll(&(struct pollfd){.fd = ersatz_waker_fd(waker), .events = POLLIN}, 1, -1);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    ersatz_device_free(device);
    CHECK_EQ(trace.begun, ERSATZ_TRACE_ENTRIES + extra + 1);
    CHECK_EQ(trace.late, 1);
    for (unsigned i = 0; i < ERSATZ_TRACE_ENTRIES; i++) {
        uint64_t place = trace.entries[i].turn / 2;

        CHECK(place > extra + 1 && place <= ERSATZ_TRACE_ENTRIES + extra + 1);
        CHECK_EQ(trace.entries[i].number, place);
        CHECK_EQ(trace.entries[i].told_by, ERSATZ_TOLD_BY_WAITING);
        CHECK(trace.entries[i].ended);
    }
    ersatz_waker_free(waker);
    aes_free(aes);
    aes_free(old);
}

static unsigned occurrences(const char *text, const char *what)
{
    unsigned count = 0;

    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

/* The slices of a thread, which the format wants apart, of requests that overlap: all are made before the
 * first is submitted. */
static void apart(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_traced(&stats);
    const struct ersatz_traced process = {.pid = getpid(), .program = "overlapping", .trace = &trace};
    struct aes *aes[JOBS];
    struct ersatz_request *requests[JOBS];
    double ended = 0;
    unsigned slices = 0;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    for (unsigned i = 0; i < JOBS; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
    }
    for (unsigned i = 0; i < JOBS; i++)
        CHECK_EQ(ersatz_submit_wait(requests[i], -1), ERSATZ_OK);
    for (unsigned i = 0; i < JOBS; i++) {
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        aes_free(aes[i]);
    }
    ersatz_device_free(device);
    CHECK(memory != NULL && ersatz_trace_write(&process, 1, memory));
    fclose(memory);
    for (const char *at = text; (at = strstr(at, "\"cat\":\"application\"")) != NULL; slices++) {
        double start, duration;

        CHECK_EQ(sscanf(strstr(at, "\"ts\""), "\"ts\":%lf,\"dur\":%lf", &start, &duration), 2);
        CHECK(start >= ended - 1e-4); /* doubles have the nanoseconds to spare */
        ended = start + duration;
        at++;
    }
    CHECK_EQ(slices, 2 * JOBS);
    free(text);
}

static void written(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_traced(&stats);
    const struct ersatz_traced processes[] = {{.pid = 77, .program = "a \"n\xc3\xa4me\"\n", .trace = &trace},
        {.pid = 78, .program = "another", .trace = &trace}};
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    CHECK(memory != NULL);
    for (unsigned round = 0; round < ROUNDS; round++) /* so many events that their array grows to the last */
        run_some(device, &stats, JOBS);
    ersatz_device_free(device);
    CHECK(ersatz_trace_write(processes, 2, memory));
    fclose(memory);
    CHECK_EQ(occurrences(text, "\"name\":\"aes_cbc\",\"args\""), 2 * ROUNDS * JOBS);
    CHECK_EQ(occurrences(text, "\"ph\":\"X\",\"cat\":\"card\",\"pid\":77"),
        ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES));
    CHECK_EQ(occurrences(text, "\"ph\":\"s\""), 4 * ROUNDS * JOBS);
    CHECK_EQ(occurrences(text, "\"ph\":\"f\""), 4 * ROUNDS * JOBS);
    CHECK_EQ(occurrences(text, "a \\\"n\xc3\xa4me\\\"\\n\""), 1);
    free(text);
    memory = fopen("/dev/full", "we"); /* where every write fails */
    CHECK(memory != NULL && !ersatz_trace_write(processes, 2, memory));
    fclose(memory);
}

int main(void)
{
    test_begin(60);
    returned();
    abandoned();
    around();
    apart();
    written();
    return 0;
}
