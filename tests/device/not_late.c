/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While the card holds a thread in a call, because of a fault or because no thread of the card computes, the
 * thread cannot resume its other jobs, and while a fault keeps the ring full, no job can go on: the check
 * does not count that time. It counts the time that the program itself lets pass, and what its own
 * synchronous operations take.
 */
#include <pthread.h>

#include "fault_card.h"

#define LIMIT_MS 100
#define LATE "late=#2:300ms" /* the second request; the first one waits to be resumed meanwhile */
#define NO_FAULT "fail=#1000"
#define NO_FAULTS NULL     /* a card without faults */
#define BLOCKED UINT32_MAX /* every pause is so quick that it was none */
#define HELD_US 300000
#define LONG_TEXT (16 << 20) /* takes some milliseconds */

static struct ersatz_findings findings;
static struct flight first;

static struct ersatz_device *open_checked(const char *text, uint32_t pause_ns)
{
    struct ersatz_check_limits limits;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;
    size_t offset;

    memset(&stats, 0, sizeof(stats));
    memset(&findings, 0, sizeof(findings));
    ersatz_check_limits_init(&limits);
    limits.answer_ms = LIMIT_MS;
    ersatz_findings_init(&findings, &limits);
    ersatz_config_init(&config, &stats);
    if (text != NO_FAULTS) {
        CHECK_EQ(ersatz_faults_parse(text, &faults, &offset, &error), ERSATZ_OK);
        config.faults = &faults;
    }
    config.findings = &findings;
    config.pause_ns = pause_ns;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

/* The first request is signalled, and not resumed yet. */
static void signal_first(struct ersatz_device *device)
{
    struct pollfd told;

    CHECK_EQ(take_off(device, &first, false), ERSATZ_OK);
    told = (struct pollfd){.fd = ersatz_waker_fd(first.waker), .events = POLLIN};
    CHECK_EQ(poll(&told, 1, -1), 1);
}

static void submit_by_descriptor(struct ersatz_device *device)
{
    struct flight second;

    CHECK_EQ(take_off(device, &second, false), ERSATZ_OK);
    land(&second, ERSATZ_OK, NULL);
}

static void submit_by_callback(struct ersatz_device *device)
{
    struct flight second;

    CHECK_EQ(take_off(device, &second, true), ERSATZ_OK);
    land(&second, ERSATZ_OK, NULL);
}

static void submit_alone(struct ersatz_device *device,
    enum ersatz_result (*submit)(struct ersatz_request *request, int retries), int retries)
{
    struct aes *aes = aes_new(4);
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(submit(request, retries), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    aes_free(aes);
}

static void sleep_alone(struct ersatz_device *device)
{
    submit_alone(device, ersatz_submit_wait, -1);
}

static void spin_alone(struct ersatz_device *device)
{
    submit_alone(device, ersatz_submit_spin, -1);
}

static void try_again(struct ersatz_device *device)
{
    submit_alone(device, ersatz_submit_wait, 1000000);
}

/* As a job whose pause does not pause. */
static void wait_in_job(struct ersatz_device *device)
{
    struct flight second;

    CHECK_EQ(take_off(device, &second, false), ERSATZ_OK);
    card_finish(second.request);
    CHECK(aes_is_right(second.aes));
    ersatz_waker_free(second.waker);
    aes_free(second.aes);
}

/* As a job with a callback whose pause does not pause, and whose ring is full. */
static void wait_for_room(struct ersatz_device *device)
{
    struct flight second;

    CHECK_EQ(take_off(device, &second, true), ERSATZ_RING_FULL);
    do
        ersatz_request_wait_for_room(second.request, 1);
    while (ersatz_submit_callback(second.request, called, &second.callbacks) == ERSATZ_RING_FULL);
    land(&second, ERSATZ_OK, NULL);
}

static void *let_go(void *device)
{
    usleep(HELD_US);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    return NULL;
}

/* No worker computes for a while, as where it gets no core. */
static void while_held(struct ersatz_device *device, void (*wait)(struct ersatz_device *device))
{
    pthread_t thread;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(pthread_create(&thread, NULL, let_go, device), 0);
    wait(device);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void sleep_while_held(struct ersatz_device *device)
{
    while_held(device, sleep_alone);
}

static void spin_while_held(struct ersatz_device *device)
{
    while_held(device, spin_alone);
}

static void wait_while_held(struct ersatz_device *device)
{
    while_held(device, wait_in_job);
}

/* Whether nothing was found. On a busy machine this thread may really be late now and then: it waits for a
 * thread of the card that has no core. */
static bool is_silent(struct ersatz_device *device)
{
    ersatz_device_free(device);
    if (ersatz_findings_total(&findings) != 0)
        ersatz_findings_write(&findings, stderr);
    return ersatz_findings_total(&findings) == 0;
}

/* Who is accused each time hangs the test. */
static void check_silence(const char *text, void (*hold)(struct ersatz_device *device))
{
    struct ersatz_device *device;

    do {
        device = open_checked(text, BLOCKED);
        signal_first(device);
        hold(device);
        land(&first, ERSATZ_OK, NULL);
    } while (!is_silent(device));
}

static void expect_late_answer(struct ersatz_device *device)
{
    land(&first, ERSATZ_OK, NULL);
    ersatz_device_free(device);
    CHECK_EQ(ersatz_findings_count(&findings, ERSATZ_FOUND_LATE_ANSWER), 1);
    CHECK_EQ(ersatz_findings_total(&findings), 1);
}

/* It was held, and then does something else for long. */
static void late_after_hold(void)
{
    struct ersatz_device *device = open_checked(LATE, BLOCKED);

    signal_first(device);
    sleep_alone(device);
    while (atomic_load(&findings.unanswered) == 0)
        usleep(1000);
    expect_late_answer(device);
}

/* One operation after the other for which the thread waits. What the workers compute meanwhile counts. */
static void busy_alone(const char *text, bool in_job)
{
    static uint8_t in[LONG_TEXT], out[LONG_TEXT];
    struct ersatz_device *device = open_checked(text, BLOCKED);
    struct ersatz_waker *waker;

    signal_first(device);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    while (atomic_load(&findings.unanswered) == 0) {
        struct aes *aes = aes_new(4);
        struct ersatz_request *request;

        aes->op.u.cipher.in = in;
        aes->op.u.cipher.out = out;
        aes->op.u.cipher.len = LONG_TEXT;
        CHECK_EQ(ersatz_request_new(device, &aes->op, in_job, &request), ERSATZ_OK);
        CHECK_EQ(in_job ? ersatz_submit_fd(request, waker) : ersatz_submit_wait(request, -1), ERSATZ_OK);
        card_finish(request);
        aes_free(aes);
    }
    ersatz_waker_free(waker);
    expect_late_answer(device);
}

/* Resumes one job in a busy loop, for which it is slowed down, and does not look at the other. */
static void busy_with_another(void)
{
    struct ersatz_device *device = open_checked(NO_FAULT, 0);
    struct flight second;

    signal_first(device);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(take_off(device, &second, false), ERSATZ_OK);
    CHECK(!ersatz_request_is_done(second.request));
    while (atomic_load(&findings.unanswered) == 0)
        ersatz_request_wait(second.request, 1);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    land(&second, ERSATZ_OK, NULL);
    expect_late_answer(device);
}

/* The same where a full ring refuses that job. */
static void busy_with_a_refused_one(void)
{
    struct ersatz_device *device = open_checked("ring_full=#2:100s", 0);
    struct flight second;

    signal_first(device);
    CHECK_EQ(take_off(device, &second, true), ERSATZ_RING_FULL);
    while (atomic_load(&findings.unanswered) == 0) {
        ersatz_request_wait_for_room(second.request, 1);
        CHECK_EQ(ersatz_submit_callback(second.request, called, &second.callbacks), ERSATZ_RING_FULL);
    }
    CHECK_EQ(ersatz_request_finish(second.request), ERSATZ_STOPPED);
    aes_free(second.aes);
    expect_late_answer(device);
}

static void check_silence_while_full(void)
{
    struct ersatz_device *device;

    do {
        device = open_checked("ring_full=#1:300ms", 0);
        CHECK_EQ(take_off(device, &first, true), ERSATZ_RING_FULL);
        usleep(250000);
        while (ersatz_submit_callback(first.request, called, &first.callbacks) == ERSATZ_RING_FULL)
            usleep(1000);
        land(&first, ERSATZ_OK, NULL);
    } while (!is_silent(device));
}

int main(void)
{
    test_begin(60);
    check_silence(LATE ",ready=#2:1s", submit_by_descriptor);
    check_silence(LATE ",ready=#2:1s", submit_by_callback);
    check_silence(LATE, sleep_alone);
    check_silence(LATE, spin_alone);
    check_silence("ring_full=#2:300ms", try_again);
    check_silence(LATE, wait_in_job);
    check_silence("ring_full=#2:300ms", wait_for_room);
    check_silence_while_full();
    check_silence(NO_FAULTS, sleep_while_held);
    check_silence(NO_FAULTS, spin_while_held);
    check_silence(NO_FAULTS, wait_while_held);
    busy_alone(NO_FAULTS, false);
    busy_alone(NO_FAULT, false);
    busy_alone(NO_FAULTS, true);
    late_after_hold();
    busy_with_another();
    busy_with_a_refused_one();
    return 0;
}
