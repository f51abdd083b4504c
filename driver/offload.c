/* SPDX-License-Identifier: Apache-2.0 */
/* Decides where an operation is done, and waits for it. */
#include "offload.h"

#include <openssl/async.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "card.h"
#include "contexts.h"
#include "error.h"
#include "ersatz/faults.h"
#include "ersatz/undisturbed.h"
#include "sides.h"

/*
 * ASYNC_pause_job(3) returns at once where ASYNC_block_pause() is in force, and does not say so: it looks
 * like a job that is resumed too early. After this many pauses of one operation that were too short, the
 * thread sleeps after each pause, until the request is done or SLEEP_MS have passed. So a blocked pause does
 * not keep a core busy, and a program that resumes its jobs in a busy loop becomes slower but never stops.
 */
#define FRUITLESS_PAUSES 1000u
#define SLEEP_MS 1

/* The key of our eventfd in a wait context: its address is unique to this module. */
static const char waker_key;

static void close_waker(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD fd, void *waker)
{
    (void)context;
    (void)key;
    (void)fd; /* the waker knows it, and closes it */
    ersatz_waker_free(waker);
}

static enum ersatz_result make_waker(ASYNC_WAIT_CTX *context, struct ersatz_waker **waker)
{
    enum ersatz_result result = ersatz_waker_new(card_stats(), waker);

    if (result == ERSATZ_OK &&
        !ASYNC_WAIT_CTX_set_wait_fd(context, &waker_key, ersatz_waker_fd(*waker), *waker, close_waker)) {
        ersatz_waker_free(*waker);
        return ERSATZ_NO_MEMORY;
    }
    return result;
}

/* Take the waker out of the wait context, and free it. Undisturbed: a thread that jumps away would leak
 * it. */
static bool drop_waker(ASYNC_WAIT_CTX *context, struct ersatz_waker *waker)
{
    struct ersatz_undisturbed before;
    bool dropped;

    ersatz_undisturbed_begin(&before);
    dropped = ASYNC_WAIT_CTX_clear_fd(context, &waker_key) != 0;
    if (dropped)
        ersatz_waker_free(waker);
    ersatz_undisturbed_end(&before);
    return dropped;
}

/* The wait context's waker, made on first use. */
static enum ersatz_result find_waker(ASYNC_WAIT_CTX *context, struct ersatz_waker **waker, bool *is_new)
{
    struct ersatz_undisturbed before;
    OSSL_ASYNC_FD fd;
    void *known;
    enum ersatz_result result;

    *is_new = false;
    if (ASYNC_WAIT_CTX_get_fd(context, &waker_key, &fd, &known)) {
        *waker = known;
        if (ersatz_waker_is_whole(known))
            return ersatz_waker_after_fork(known);
        /* The program closed the descriptor. Leave its number alone, and give the application another. */
        if (!drop_waker(context, known))
            return ERSATZ_NO_DESCRIPTORS;
    }
    ersatz_undisturbed_begin(&before); /* a thread that jumps away would leak the descriptor */
    result = make_waker(context, waker);
    ersatz_undisturbed_end(&before);
    *is_new = result == ERSATZ_OK;
    return result;
}

/*
 * A thread that is cancelled in the middle of an operation would leave locks held, and the card would write
 * to the stack that it left. So cancellation waits for the end of the operation, or for its next pause, which
 * comes soon. After each pause the job may go on in another thread.
 */
static int forbid_cancellation(void)
{
    int state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

static void allow_cancellation(int state)
{
    pthread_setcancelstate(state, NULL);
}

/* Whether it paused. *cancel_state is replaced by that of the thread in which the job goes on. */
static bool pause_job(int *cancel_state)
{
    bool paused;

    allow_cancellation(*cancel_state);
    paused = ASYNC_pause_job();
    *cancel_state = forbid_cancellation();
    return paused;
}

/* In callback mode the application waits while the ring is full: it reads the status and resumes the job. */
static enum ersatz_result submit_by_callback(struct ersatz_request *request, ASYNC_WAIT_CTX *context,
    ASYNC_callback_fn callback, void *arg, int *cancel_state)
{
    enum ersatz_result result = ersatz_submit_callback(request, callback, arg);

    for (unsigned pauses = 0; result == ERSATZ_RING_FULL; pauses++) {
        ASYNC_WAIT_CTX_set_status(context, ASYNC_STATUS_EAGAIN);
        if (!pause_job(cancel_state) || pauses >= FRUITLESS_PAUSES)
            ersatz_request_wait_for_room(request, SLEEP_MS);
        result = ersatz_submit_callback(request, callback, arg);
    }
    if (result == ERSATZ_OK)
        ASYNC_WAIT_CTX_set_status(context, ASYNC_STATUS_OK);
    return result;
}

/* Submit a request and pause the job until it is done. Anything but success: it was not accepted. */
static enum ersatz_result run_in_job(
    struct ersatz_request *request, ASYNC_WAIT_CTX *context, int *cancel_state)
{
    ASYNC_callback_fn callback;
    void *arg;
    bool by_callback = ASYNC_WAIT_CTX_get_callback(context, &callback, &arg) != 0, is_new, checked;
    unsigned fruitless = 0;
    struct waiting waiting;
    struct ersatz_waker *waker;
    enum ersatz_result result;

    if (by_callback) {
        result = submit_by_callback(request, context, callback, arg, cancel_state);
    } else if ((result = find_waker(context, &waker, &is_new)) == ERSATZ_OK) {
        result = ersatz_submit_fd(request, waker);
        /* If no pause has shown the descriptor to the application, remove it. The application would find it
         * when it frees the wait context, and HAProxy 2.6 aborts over a descriptor that it does not know. */
        if (result != ERSATZ_OK && is_new)
            drop_waker(context, waker);
    }
    if (result != ERSATZ_OK)
        return result;
    checked = by_callback && card_findings() != NULL;
    if (checked)
        contexts_begin(&waiting, request, context, callback, arg);
    for (;;) {
        /* A pause that fails must not end the operation: the card has the request. */
        bool paused = pause_job(cancel_state);

        if (ersatz_request_is_done(request))
            break;
        fruitless++;
        if (!paused || fruitless >= FRUITLESS_PAUSES)
            ersatz_request_wait(request, SLEEP_MS);
    }
    ersatz_count(&card_stats()->early_resumes, fruitless);
    if (checked)
        contexts_end(&waiting);
    return ERSATZ_OK;
}

/*
 * One request, or a group of them. With copies of the inputs, even for a thread that waits. A signal handler
 * may jump out of the wait (siglongjmp), and then the card must not write to what the thread's stack has
 * become. And if the card fails at one of several operations, the inputs of all are as they were, for the
 * calling core.
 *
 * MEMORY:direct gives the first of these up for the text of a lone operation. The second holds: a card that
 * fails has not computed the operation. The members of a group are copied in either case, since one may fail
 * after another was computed.
 */
static enum ersatz_result make_requests(
    struct ersatz_device *device, const struct ersatz_op *ops, unsigned count, struct ersatz_request **first)
{
    bool direct = count == 1 && atomic_load_explicit(&card_policy()->direct, memory_order_relaxed);
    enum ersatz_result result = direct ? ersatz_request_new_direct(device, &ops[0], first)
                                       : ersatz_request_new(device, &ops[0], true, first);

    for (unsigned i = 1; i < count && result == ERSATZ_OK; i++) {
        struct ersatz_request *request;

        result = ersatz_request_new(device, &ops[i], true, &request);
        if (result == ERSATZ_OK)
            ersatz_request_join(*first, request);
        else
            ersatz_request_finish(*first);
    }
    return result;
}

/* in_company: NULL, or set to ersatz_request_had_company(). */
static enum ersatz_result run_on_card(struct ersatz_device *device, const struct ersatz_op *ops,
    unsigned count, ASYNC_JOB *job, struct ersatz_error *error, int *cancel_state, bool *in_company)
{
    struct ersatz_request *request;
    enum ersatz_result result = make_requests(device, ops, count, &request), finished;
    int retries;

    if (result != ERSATZ_OK)
        return result;
    if (job != NULL) {
        result = run_in_job(request, ASYNC_get_wait_ctx(job), cancel_state);
    } else {
        retries = atomic_load_explicit(&card_policy()->max_retries, memory_order_relaxed);
        if (ops->kind != ERSATZ_CIPHER && atomic_load_explicit(&card_policy()->spin, memory_order_relaxed))
            result = ersatz_submit_spin(request, retries);
        else
            result = ersatz_submit_wait(request, retries);
    }
    if (in_company != NULL)
        *in_company = ersatz_request_had_company(request);
    ersatz_request_blame(request, error); /* if it failed by an injected fault, the error says so */
    finished = ersatz_request_finish(request);
    return result != ERSATZ_OK ? result : finished;
}

static enum ersatz_result run_here(const struct ersatz_op *ops, unsigned count)
{
    enum ersatz_result result = ERSATZ_OK;

    for (unsigned i = 0; i < count && result == ERSATZ_OK; i++)
        result = ersatz_compute(&ops[i], card_stats());
    return result;
}

/* The job to pause, or NULL. A job without a wait context could not be told that the request is done. */
static ASYNC_JOB *current_job(void)
{
    ASYNC_JOB *job = ASYNC_get_current_job();

    return job != NULL && ASYNC_get_wait_ctx(job) != NULL ? job : NULL;
}

/* Whether ciphers go to the card outside jobs, too. */
static bool offloads_alone(void)
{
    return atomic_load_explicit(&card_policy()->sync_offload, memory_order_relaxed);
}

bool offload_may_pause(void)
{
    return offloads_alone() || current_job() != NULL;
}

bool offload_is_for_speed(void)
{
    return atomic_load_explicit(&card_policy()->fastest, memory_order_relaxed);
}

static bool is_one_for_speed(unsigned count)
{
    return count == 1 && offload_is_for_speed();
}

/*
 * OFFLOAD:fastest. A message whose blocks are computed side by side keeps this core's vector units as busy as
 * a worker's, so handing it over only costs time. The card gains on many operations that are serial in
 * themselves, one to a lane, and those come only from jobs.
 */
static bool is_faster_here(const struct ersatz_op *ops, unsigned count)
{
    return is_one_for_speed(count) && ersatz_op_is_fastest_alone(ops);
}

/* Whether the modelled card does not do such operations at all, as a token for keys that knows no AES. */
static bool card_lacks(const struct ersatz_op *op)
{
    uint32_t software = atomic_load_explicit(&card_policy()->software, memory_order_relaxed);

    return software != 0 && (software >> ersatz_op_name(op) & 1) != 0;
}

static enum ersatz_result compute_here(const struct ersatz_op *ops, unsigned count)
{
    enum ersatz_result result = run_here(ops, count);

    if (result != ERSATZ_OK)
        error_raise_result(result);
    return result;
}

static enum ersatz_result compute_on_card(
    const struct ersatz_op *ops, unsigned count, ASYNC_JOB *job, bool *in_company)
{
    ASYNC_callback_fn callback;
    void *arg;
    struct ersatz_device *device;
    struct ersatz_error error;
    enum ersatz_result result;
    bool started;
    int cancel_state;

    cancel_state = forbid_cancellation();
    result = card_device(&device, &error);
    started = result == ERSATZ_OK;
    if (started) {
        error.text[0] = '\0';
        result = run_on_card(device, ops, count, job, &error, &cancel_state, in_company);
    }
    if (result == ERSATZ_STOPPED)
        card_linger_if_process_ends();
    /* The calling core does what the device did not, if ENABLE_SW_FALLBACK was given, or when the device has
     * stopped for good, or never can start. */
    if (ersatz_result_is_device_fault(result) &&
        (atomic_load_explicit(&card_policy()->fallback, memory_order_relaxed) ||
            (result == ERSATZ_STOPPED && card_cannot_start()))) {
        error.text[0] = '\0';
        result = run_here(ops, count);
    }
    /* An application that waits for a callback reads in the status that none comes. */
    if (job != NULL && (ersatz_result_is_device_fault(result) || result == ERSATZ_BUSY) &&
        ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(job), &callback, &arg))
        ASYNC_WAIT_CTX_set_status(ASYNC_get_wait_ctx(job), ASYNC_STATUS_ERR);
    /* The device's fault in the words of error, if it has any: why it did not start, or which fault was
     * injected. */
    if (!ersatz_result_is_device_fault(result) || error.text[0] == '\0')
        error_raise_result(result);
    else if (started)
        error_raise(REASON_FAULT, "%s", error.text);
    else
        error_raise(
            REASON_DEVICE, "%s; or set ENABLE_SW_FALLBACK to compute on the calling core", error.text);
    allow_cancellation(cancel_state);
    return result;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* How often this thread has slept. */
static long sleeps(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

/*
 * An operation on the card has company if there are others like it when it begins, or if some begin before
 * its job goes on. The card knows the first, so neither a job that is never resumed counts for ever, nor one
 * of the parent's after a fork. The second is a number that only grows: relaxed, since it decides about speed
 * alone.
 */
static enum ersatz_result compute_in_company(
    const struct ersatz_op *op, ASYNC_JOB *job, _Atomic unsigned *begun, bool *in_company)
{
    unsigned number = atomic_fetch_add_explicit(begun, 1, memory_order_relaxed) + 1;
    enum ersatz_result result = compute_on_card(op, 1, job, in_company);

    *in_company |= atomic_load_explicit(begun, memory_order_relaxed) != number;
    return result;
}

/* OFFLOAD:fastest, a private RSA operation of a job. */
static enum ersatz_result compute_private_where_faster(const struct ersatz_op *op, ASYNC_JOB *job)
{
    static _Atomic unsigned begun;
    struct ersatz_device *device = card_running_device();
    bool others = device != NULL && ersatz_device_is_busy(device, ERSATZ_FLIGHT_ASYM), in_company = false;
    enum ersatz_result result;

    if (!sides_choose_private(sides_of(op), others, sleeps()))
        return compute_here(op, 1);
    result = compute_in_company(op, job, &begun, &in_company);
    sides_private_done(sides_of(op), others || in_company);
    return result;
}

/* Such an operation, on the side that is faster now. */
static enum ersatz_result compute_where_faster(const struct ersatz_op *op, ASYNC_JOB *job)
{
    static _Atomic unsigned begun;
    bool here = !sides_choose(sides_of(op)), in_company = false;
    enum ersatz_result result = here ? compute_here(op, 1) : compute_in_company(op, job, &begun, &in_company);

    sides_done(sides_of(op), here, in_company, sides_bytes(op), now_ns());
    return result;
}

enum ersatz_result offload(const struct ersatz_op *ops, unsigned count, bool small)
{
    bool here = small || is_faster_here(ops, count) || card_lacks(ops);
    /* For a small operation finding the job would take longer than the operation. */
    ASYNC_JOB *job = here ? NULL : current_job();

    if (ops->kind != ERSATZ_CIPHER)
        card_note_asked();
    if (here ||
        (job == NULL && (is_one_for_speed(count) || (ops->kind == ERSATZ_CIPHER && !offloads_alone()))))
        return compute_here(ops, count);
    if (is_one_for_speed(count))
        return ops->kind == ERSATZ_RSA_PRIVATE ? compute_private_where_faster(ops, job)
                                               : compute_where_faster(ops, job);
    return compute_on_card(ops, count, job, NULL);
}
