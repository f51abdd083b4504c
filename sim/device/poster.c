/* SPDX-License-Identifier: Apache-2.0 */
/* Posting completions through io_uring. */
#include "poster.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/kernel_order.h"
#include "base/stats.h"
#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "timing.h"
#include "waker.h"

/* The low bits of the user data of a completion-queue entry say what was posted. The rest is the address of a
 * request, which is aligned to 64, or of an instance. */
#define POSTED_SIGNAL 1u
#define POSTED_MESSAGE 2u
#define POSTED_MARK 3u
#define POSTED_MASK UINT64_C(3)

/* This many temporary errors in a row count as a permanent one. */
#define REFUSALS_MAX 100u

static const uint64_t one = 1; /* what a signal adds to an eventfd */

static struct io_uring_sqe *get_sqe(struct poster *poster)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&poster->uring);

    ASSERT(sqe != NULL); /* the ring has room for a batch, and each batch is submitted as a whole */
    return sqe;
}

/* ------------------------------------------------------------------------------------------------ prepare */

static void signal_by_hand(struct ersatz_request *request)
{
    waker_signal(request->fd, request->fd_serial);
    complete_end(request);
}

/* Make a submission-queue entry that signals the request, or signal it without one. Returns whether an entry
 * was made. */
static bool prepare(struct poster *poster, struct ersatz_request *request)
{
    struct io_uring_sqe *sqe;

    complete_answer(request);
    if (poster->device->timing != NULL)
        timing_told(request);
    if (request->notify == NOTIFY_CALLBACK) {
        if (poster->broken || !instance_has_ring(request->instance)) {
            complete_park(request);
            return false;
        }
        sqe = get_sqe(poster);
        io_uring_prep_msg_ring(sqe, request->instance->responses.ring_fd, 0, (uintptr_t)request, 0);
        sqe->user_data = (uintptr_t)request | POSTED_MESSAGE;
        kernel_order_give(request);
        return true;
    }
    if (!complete_begin(request)) {
        complete_end(request);
        return false;
    }
    if (poster->broken) {
        stats_count(device_stats(poster->device), ERSATZ_COUNTER_WAKEUPS, 1);
        signal_by_hand(request);
        return false;
    }
    sqe = get_sqe(poster);
    io_uring_prep_write(sqe, request->fd, &one, sizeof(one), 0);
    sqe->user_data = (uintptr_t)request | POSTED_SIGNAL;
    return true;
}

/* -------------------------------------------------------------------------------------------- completions */

/* One entry has completed. If io_uring refused it, do its work without io_uring. */
static void entry_done(const struct io_uring_cqe *cqe)
{
    void *address = (void *)(uintptr_t)(cqe->user_data & ~POSTED_MASK);
    struct ersatz_request *request = address;
    struct instance *instance = address;

    switch (cqe->user_data & POSTED_MASK) {
    case POSTED_SIGNAL:
        if (cqe->res == (int)sizeof(one))
            complete_end(request);
        else
            signal_by_hand(request);
        break;
    case POSTED_MESSAGE:
        if (cqe->res < 0)
            complete_park(request);
        break;
    default:
        if (cqe->res < 0)
            instance_mark_failed(instance);
    }
}

/* Returns how many there were. */
static unsigned take_all(struct poster *poster)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;

    io_uring_for_each_cqe(&poster->uring, head, cqe)
    {
        entry_done(cqe);
        seen++;
    }
    io_uring_cq_advance(&poster->uring, seen);
    return seen;
}

/* Take back the entries that Linux did not take from the submission queue, as if it had refused them. */
static void take_back(struct poster *poster)
{
    struct io_uring_sq *sq = &poster->uring.sq;
    unsigned head = *sq->khead, tail = sq->sqe_tail;

    *sq->ktail = sq->sqe_head = sq->sqe_tail = head; /* they are not submitted any more */
    for (; head != tail; head++) {
        struct io_uring_cqe refused = {
            .user_data = sq->sqes[head & *sq->kring_mask].user_data, .res = -ECANCELED};

        entry_done(&refused);
    }
}

/* -------------------------------------------------------------------------------------------------- enter */

/* Submit, and wait until that many entries have completed; or find that io_uring_enter fails for good. The
 * entries that Linux took have completed inside the call; the caller takes back the others. */
static void enter(struct poster *poster, unsigned wanted)
{
    static const struct timespec pause = {.tv_nsec = 100000};
    int err = io_uring_submit_and_wait(&poster->uring, wanted);

    stats_count(device_stats(poster->device), ERSATZ_COUNTER_IO_URING_ENTERS, 1);
    if (err >= 0) {
        poster->refusals = poster->renewals = 0;
        return;
    }
    if ((err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ENOMEM) &&
        ++poster->refusals < REFUSALS_MAX) {
        nanosleep(&pause, NULL); /* memory is short, or room that take_all() makes */
        return;
    }
    ersatz_count(&device_stats(poster->device)->rings_failed, 1);
    device_complain("io_uring_enter failed; a thread of the card continues without io_uring", -err);
    poster->broken = true;
}

/* Submit the entries that were prepared, and wait until all have completed. */
static void enter_until(struct poster *poster, unsigned posted)
{
    unsigned seen = 0;

    while (seen < posted && !poster->broken) {
        enter(poster, posted - seen);
        seen += take_all(poster);
    }
    if (posted > 0 && poster->broken)
        take_back(poster);
}

/* Find the instances that get messages, before the requests may be gone. There are at most as many as
 * requests. */
static unsigned find_instances(
    struct ersatz_request *const *requests, unsigned count, struct instance **instances)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        struct instance *instance = requests[i]->instance;

        if (requests[i]->notify != NOTIFY_CALLBACK || (found > 0 && instances[found - 1] == instance))
            continue;
        instance_check_ring(instance);
        instances[found++] = instance;
    }
    return found;
}

void poster_post(struct poster *poster, struct ersatz_request *const *requests, unsigned count)
{
    struct ersatz_stats *stats = device_stats(poster->device);
    struct instance *instances[POSTER_BATCH_MAX];
    unsigned found = find_instances(requests, count, instances), signals = 0, messages = 0, entries = 0;

    complete_give_slots(requests, count, false);
    /* Counted first: a job that is signalled may read the statistics at once. */
    for (unsigned i = 0; i < count; i++)
        messages += requests[i]->notify == NOTIFY_CALLBACK;
    stats_count(stats, ERSATZ_COUNTER_MESSAGES, messages);
    for (unsigned i = 0; i < count; i++) {
        bool is_signal = requests[i]->notify == NOTIFY_FD;

        if (prepare(poster, requests[i])) {
            entries++;
            signals += is_signal;
        }
    }
    stats_count(stats, ERSATZ_COUNTER_WAKEUPS, signals);
    enter_until(poster, entries);
    for (unsigned i = 0; i < found; i++)
        instance_wake_reaper(instances[i]);
}

/* A new ring in place of one that is broken. What broke it may have been temporary. */
static bool renew(struct poster *poster)
{
    struct ersatz_error error; /* was reported when the ring broke */

    if (++poster->renewals > REFUSALS_MAX)
        return false;
    poster_exit(poster);
    poster->has_ring = uring_init_worker(&poster->uring, poster->batch, URING_NEEDED, &error) == ERSATZ_OK;
    poster->broken = !poster->has_ring;
    return poster->has_ring;
}

static void mark_apart(void *device)
{
    struct poster poster;
    struct ersatz_error error; /* not reported: there is no caller */

    poster_open(&poster, device);
    if (poster_init(&poster, 1, URING_REQUIRED, &error) == ERSATZ_OK) {
        poster_mark(&poster);
        poster_exit(&poster);
    }
}

void poster_mark_apart(struct ersatz_device *device)
{
    (void)uring_apart(mark_apart, device);
}

void poster_mark(struct poster *poster)
{
    struct ersatz_device *device = poster->device;

    for (unsigned i = 0; i < device->config.instances; i++) {
        struct instance *instance = &device->instances[i];
        struct io_uring_sqe *sqe;

        if (!instance_wants_mark(instance))
            continue;
        if (poster->broken && !renew(poster)) {
            instance_mark_given_up(instance);
            continue;
        }
        sqe = get_sqe(poster);
        io_uring_prep_msg_ring(sqe, instance->responses.ring_fd, 0, 0, 0);
        sqe->user_data = (uintptr_t)instance | POSTED_MARK;
        enter_until(poster, 1);
    }
}

void poster_sleep(struct poster *poster, uint64_t until)
{
    doorbell_sleep(&poster->doorbell, until);
}

void poster_nap(struct poster *poster, uint64_t ns)
{
    doorbell_sleep(&poster->doorbell, clock_now() + ns);
}

void poster_wake(struct poster *poster)
{
    doorbell_ring(&poster->doorbell);
}

/* ----------------------------------------------------------------------------------------- begin and end */

void poster_open(struct poster *poster, struct ersatz_device *device)
{
    poster->device = device;
    doorbell_init(&poster->doorbell);
}

void poster_init_without(struct poster *poster)
{
    poster->has_ring = false;
    poster->broken = true;
    poster->refusals = poster->renewals = 0;
    prctl(PR_SET_TIMERSLACK, 1UL); /* so that this thread's sleeps end on time */
}

enum ersatz_result poster_init(
    struct poster *poster, unsigned batch, enum uring_need need, struct ersatz_error *error)
{
    enum ersatz_result result;

    poster_init_without(poster);
    poster->batch = batch;
    result = uring_init_worker(&poster->uring, batch, need, error);
    poster->has_ring = result == ERSATZ_OK;
    poster->broken = !poster->has_ring;
    return result == ERSATZ_NO_MEMORY && need != URING_REQUIRED ? ERSATZ_OK : result;
}

void poster_exit(struct poster *poster)
{
    if (poster->has_ring)
        io_uring_queue_exit(&poster->uring);
}
