/* Posting completions through io_uring, and sleeping there. */
#include "post.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "kernel_order.h"
#include "model.h"
#include "uring.h"
#include "waker.h"

/* What a completion-queue entry is for stands in the low bits of its user data; the rest is a request's
 * address, which is aligned to 64. Without a request: */
#define POSTED_SIGNAL 1u
#define POSTED_MESSAGE 2u
#define POSTED_MASK 3u
#define DOORBELL UINT64_C(0)
#define TIMER UINT64_C(4)
#define TIMER_MOVED UINT64_C(8)

#define OTHER_ENTRIES 2u /* the doorbell and the timer */

/* So many temporary errors in a row are a permanent one. */
#define REFUSALS_MAX 100u

#define NS_PER_S UINT64_C(1000000000)

static const uint64_t one = 1; /* what a signal adds to an eventfd */

/* The job is told, or need not be: the device is done with the request. */
static void signalled(struct ersatz_request *request)
{
    request_step(request); /* SIGNALLING -> SIGNALLED */
    request_release(request);
}

static struct io_uring_sqe *get_sqe(struct poster *poster)
{
    /* Never NULL: the ring has room for a batch and the others, and is submitted whole. */
    return io_uring_get_sqe(&poster->uring);
}

/* ------------------------------------------------------------------------------------------------ prepare */

/*
 * The slots of those that are not told by a callback: before any signal, since a job may submit at once. And
 * all together: the submitters change these counters with every request, so that each time a worker does, it
 * has to fetch them from another core, and a submitter has to fetch them back.
 */
static void give_slots(struct poster *poster, struct ersatz_request *const *requests, unsigned count)
{
    unsigned asym = 0, cipher = 0, slots = 0;

    for (unsigned i = 0; i < count; i++) {
        if (requests[i]->notify == NOTIFY_CALLBACK)
            continue; /* when it is reaped */
        asym += requests[i]->op.kind != ERSATZ_CIPHER;
        cipher += requests[i]->op.kind == ERSATZ_CIPHER;
    }
    if (asym + cipher > 0)
        device_flights_ended(poster->device, asym, cipher);
    for (unsigned i = 0; i < count; i++) {
        slots += requests[i]->notify != NOTIFY_CALLBACK;
        if (slots > 0 && (i + 1 == count || requests[i + 1]->instance != requests[i]->instance)) {
            instance_give_slots(requests[i]->instance, slots);
            slots = 0;
        }
    }
}

/* Prepare the completion of one request. Returns whether an entry was made for it. */
static bool prepare(struct poster *poster, struct ersatz_request *request)
{
    struct io_uring_sqe *sqe;

    request_complete(request);
    if (poster->device->model != NULL)
        model_told(request);
    if (request->notify == NOTIFY_CALLBACK) {
        sqe = get_sqe(poster);
        io_uring_prep_msg_ring(sqe, request->instance->responses.ring_fd, 0, (uintptr_t)request, 0);
        sqe->user_data = (uintptr_t)request | POSTED_MESSAGE;
        kernel_order_give(request);
        return true;
    }
    life_mark(request, LIFE_SIGNALLED);
    if ((request_step(request) & REQUEST_MUTED) || request->notify == NOTIFY_WAIT) {
        signalled(request);
        return false;
    }
    sqe = get_sqe(poster);
    io_uring_prep_write(sqe, request->fd, &one, sizeof(one), 0);
    sqe->user_data = (uintptr_t)request | POSTED_SIGNAL;
    return true;
}

/* --------------------------------------------------------------------------------------------------- take */

static void message_failed(struct poster *poster, struct ersatz_request *request, int err)
{
    /* The response ring has room by construction, so this is the kernel short of memory. The other way in: */
    if (!instance_send(request->instance, request)) {
        static const struct timespec pause = {.tv_nsec = 1000000};

        if (!poster->send_complained)
            device_complain("a completion could not be sent to its response ring, trying again", err);
        poster->send_complained = true;
        nanosleep(&pause, NULL);
        request->next = NULL;
        *poster->again_end = request;
        poster->again_end = &request->next;
        poster_wake(poster);
    }
}

/* Take one completion-queue entry. Returns 1 if it was a posted completion, 0 for the others. */
static unsigned take(struct poster *poster, const struct io_uring_cqe *cqe)
{
    struct ersatz_request *request =
        (struct ersatz_request *)(uintptr_t)(cqe->user_data & ~(uint64_t)POSTED_MASK);

    switch (cqe->user_data) {
    case DOORBELL:
        poster->doorbell_armed = false;
        return 0;
    case TIMER:
        poster->timer_armed = false;
        return 0;
    case TIMER_MOVED: /* it could not be: it has fired, and its own entry comes or came */
        return 0;
    default:
        break;
    }
    if ((cqe->user_data & POSTED_MASK) == POSTED_MESSAGE) {
        if (cqe->res < 0)
            message_failed(poster, request, -cqe->res);
        return 1;
    }
    if (cqe->res != (int)sizeof(one))
        waker_signal(request->fd); /* refused by io_uring: by hand, so that no wake-up is lost */
    signalled(request);
    return 1;
}

static unsigned take_all(struct poster *poster)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, posted = 0;

    io_uring_for_each_cqe(&poster->uring, head, cqe)
    {
        posted += take(poster, cqe);
        seen++;
    }
    io_uring_cq_advance(&poster->uring, seen);
    return posted;
}

/* What the kernel did not take from the submission queue is done by hand. */
static void post_by_hand(struct poster *poster)
{
    struct io_uring_sq *sq = &poster->uring.sq;
    unsigned head = *sq->khead, tail = sq->sqe_tail;

    *sq->ktail = sq->sqe_head = sq->sqe_tail = head; /* nobody submits them any more */
    for (; head != tail; head++) {
        struct io_uring_cqe refused = {
            .user_data = sq->sqes[head & *sq->kring_mask].user_data, .res = -ECANCELED};

        (void)take(poster, &refused);
    }
}

/* -------------------------------------------------------------------------------------------------- enter */

/* Submit and wait until that many entries completed, or find that the kernel refuses for good. What it had
 * taken completed inside the call; the caller does the rest by hand. */
static void enter(struct poster *poster, unsigned wanted)
{
    static const struct timespec pause = {.tv_nsec = 100000};
    int err = io_uring_submit_and_wait(&poster->uring, wanted);

    ersatz_count(&device_stats(poster->device)->io_uring_enters, 1);
    if (err >= 0) {
        poster->refusals = 0;
        poster->timer_queued = poster->timer_queued && io_uring_sq_ready(&poster->uring) > 0;
        return;
    }
    if ((err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ENOMEM) &&
        ++poster->refusals < REFUSALS_MAX) {
        nanosleep(&pause, NULL); /* short of memory, or of room that take_all() makes */
        return;
    }
    device_complain("io_uring_enter failed, a thread of the card goes on without it", -err);
    poster->broken = true;
}

/* Submit what was prepared and see every entry of it completed. */
static void enter_until(struct poster *poster, unsigned posted)
{
    unsigned seen = 0;

    while (seen < posted && !poster->broken) {
        enter(poster, posted - seen);
        seen += take_all(poster);
    }
    if (poster->broken)
        post_by_hand(poster);
}

void poster_post(struct poster *poster, struct ersatz_request *const *requests, unsigned count)
{
    struct ersatz_stats *stats = device_stats(poster->device);
    unsigned signals = 0, messages = 0;

    give_slots(poster, requests, count);
    for (unsigned i = 0; i < count; i++) {
        bool is_message = requests[i]->notify == NOTIFY_CALLBACK;

        if (prepare(poster, requests[i])) {
            messages += is_message;
            signals += !is_message;
        }
    }
    /* Counted first: who is told may read the statistics at once. */
    ersatz_count(&stats->wakeups, signals);
    ersatz_count(&stats->messages, messages);
    enter_until(poster, signals + messages);
}

void poster_post_again(struct poster *poster)
{
    struct ersatz_request *next = poster->again_first;

    poster->again_first = NULL;
    poster->again_end = &poster->again_first;
    while (next != NULL) { /* one by one: it is rare, and each may be refused once more */
        struct ersatz_request *request = next;

        next = request->next;
        poster_post(poster, &request, 1);
    }
}

bool poster_has_again(const struct poster *poster)
{
    return poster->again_first != NULL;
}

/* -------------------------------------------------------------------------------------------------- sleep */

static void arm_doorbell(struct poster *poster)
{
    struct io_uring_sqe *sqe;

    if (poster->doorbell_armed)
        return;
    sqe = get_sqe(poster);
    io_uring_prep_read(sqe, poster->doorbell, &poster->doorbell_value, sizeof(poster->doorbell_value), 0);
    sqe->user_data = DOORBELL;
    poster->doorbell_armed = true;
}

/* One timer, which is moved when another time comes to be the next. The kernel reads `timer` when it takes
 * the entry: after a refusal that is not in this call, and the entry that waits is for whatever stands there
 * by then. */
static void arm_timer(struct poster *poster, uint64_t due)
{
    struct io_uring_sqe *sqe;

    if (poster->timer_armed && poster->timer_due == due)
        return;
    poster->timer_due = due;
    poster->timer = (struct __kernel_timespec){
        .tv_sec = (long long)(due / NS_PER_S), .tv_nsec = (long long)(due % NS_PER_S)};
    if (poster->timer_queued)
        return;
    sqe = get_sqe(poster);
    if (poster->timer_armed) {
        io_uring_prep_timeout_update(sqe, &poster->timer, TIMER, IORING_TIMEOUT_ABS);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* or it would end the sleep */
        sqe->user_data = TIMER_MOVED;
    } else {
        io_uring_prep_timeout(sqe, &poster->timer, 0, IORING_TIMEOUT_ABS);
        sqe->user_data = TIMER;
    }
    poster->timer_armed = poster->timer_queued = true;
}

/* Without io_uring. A read of the doorbell that the kernel still has stays undone: it would be done inside
 * io_uring_enter. */
static void wait_by_hand(struct poster *poster, uint64_t until)
{
    struct pollfd doorbell = {.fd = poster->doorbell, .events = POLLIN};
    uint64_t now = life_now(), left = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
    int ready;

    post_by_hand(poster); /* the doorbell, if it was not taken */
    ready = ppoll(&doorbell, 1, until == POSTER_NEVER ? NULL : &timeout, NULL);
    if (ready > 0)
        ready = (int)read(poster->doorbell, &poster->doorbell_value, sizeof(poster->doorbell_value));
    if (ready < 0 && errno != EINTR)
        device_complain("waiting for a doorbell", errno);
}

void poster_sleep(struct poster *poster, uint64_t until)
{
    if (poster->broken) {
        wait_by_hand(poster, until);
    } else {
        arm_doorbell(poster);
        if (until != POSTER_NEVER)
            arm_timer(poster, until);
        enter(poster, 1); /* if it breaks now, look around once more: the doorbell may have been read */
    }
    take_all(poster);
}

void poster_wake(struct poster *poster)
{
    waker_signal(poster->doorbell);
}

/* ----------------------------------------------------------------------------------------- begin and end */

enum ersatz_result poster_open(
    struct poster *poster, struct ersatz_device *device, struct ersatz_error *error)
{
    poster->device = device;
    poster->doorbell = eventfd(0, EFD_CLOEXEC);
    if (poster->doorbell >= 0)
        return ERSATZ_OK;
    error->result = ERSATZ_NO_DESCRIPTORS;
    snprintf(error->text, sizeof(error->text),
        "no file descriptor is free for a worker's doorbell; raise the limit (ulimit -n)");
    return ERSATZ_NO_DESCRIPTORS;
}

enum ersatz_result poster_init(struct poster *poster, unsigned batch, struct ersatz_error *error)
{
    poster->broken = poster->send_complained = false;
    poster->doorbell_armed = poster->timer_armed = poster->timer_queued = false;
    poster->refusals = 0;
    poster->again_first = NULL;
    poster->again_end = &poster->again_first;
    return uring_init_worker(&poster->uring, batch + OTHER_ENTRIES, error);
}

void poster_exit(struct poster *poster)
{
    io_uring_queue_exit(&poster->uring);
}

void poster_close(struct poster *poster)
{
    close(poster->doorbell);
}

void poster_forget(struct poster *poster)
{
    io_uring_queue_exit(&poster->uring);
    close(poster->doorbell);
}
