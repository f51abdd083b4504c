/* SPDX-License-Identifier: Apache-2.0 */
/* Offloading: where an operation is done, and the wait for it. */
#include "offload.h"

#include <openssl/async.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "card.h"
#include "contexts.h"
#include "error.h"
#include "ersatz/faults.h"
#include "ersatz/undisturbed.h"

/*
 * ASYNC_pause_job(3) returns at once where ASYNC_block_pause() is in force, and nothing says so: it looks
 * like a job that is resumed too early. After so many fruitless pauses of one operation the thread sleeps
 * between them, until the request is done or a moment has passed: a blocked pause then costs no core, and a
 * program that resumes its jobs in a busy loop is slowed down but never stuck.
 */
#define FRUITLESS_PAUSES 1000u
#define SLEEP_MS 1
#define BATCHES_MEASURED 20u
#define PAUSE_FACTOR 8u /* see offload_measure_pause() */

/* Under which the engine's eventfd is kept in a wait context: the address is unique to this module. */
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
        /* The program closed it. Its number is left alone, and the application is shown another. */
        if (!ASYNC_WAIT_CTX_clear_fd(context, &waker_key))
            return ERSATZ_NO_DESCRIPTORS;
        ersatz_waker_free(known);
    }
    ersatz_undisturbed_begin(&before); /* a thread that jumps away would leak the descriptor */
    result = make_waker(context, waker);
    ersatz_undisturbed_end(&before);
    *is_new = result == ERSATZ_OK;
    return result;
}

static enum ersatz_result submit_by_fd(struct ersatz_request *request, ASYNC_WAIT_CTX *context)
{
    struct ersatz_waker *waker;
    bool is_new;
    enum ersatz_result result = find_waker(context, &waker, &is_new);

    if (result != ERSATZ_OK)
        return result;
    result = ersatz_submit_fd(request, waker);
    /* A descriptor that no pause has shown to the application goes again: it would be found when the wait
     * context is given up, and HAProxy 2.6 aborts over one that it does not know. */
    if (result != ERSATZ_OK && is_new && ASYNC_WAIT_CTX_clear_fd(context, &waker_key))
        ersatz_waker_free(waker);
    return result;
}

/*
 * A thread that is cancelled in the middle of an operation would leave locks behind, and its stack to a card
 * that writes to it. So cancellation waits for the end of an operation, or for a pause: what is between two
 * pauses is short. A job may go on in another thread after each of them.
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

/* Whether it paused; *cancel_state is the thread's that goes on. */
static bool pause_job(int *cancel_state)
{
    bool paused;

    allow_cancellation(*cancel_state);
    paused = ASYNC_pause_job();
    *cancel_state = forbid_cancellation();
    return paused;
}

/* In callback mode a full ring is the application's to wait for: it sees the status and resumes the job. */
static enum ersatz_result submit_by_callback(struct ersatz_device *device, struct ersatz_request *request,
    ASYNC_WAIT_CTX *context, ASYNC_callback_fn callback, void *arg, int *cancel_state)
{
    enum ersatz_result result = ersatz_submit_callback(request, callback, arg);

    for (unsigned pauses = 0; result == ERSATZ_RING_FULL; pauses++) {
        ASYNC_WAIT_CTX_set_status(context, ASYNC_STATUS_EAGAIN);
        if (!pause_job(cancel_state) || pauses >= FRUITLESS_PAUSES) {
            usleep(SLEEP_MS * 1000);
            ersatz_device_make_room(device); /* this may be the thread that polls */
        }
        result = ersatz_submit_callback(request, callback, arg);
    }
    if (result == ERSATZ_OK)
        ASYNC_WAIT_CTX_set_status(context, ASYNC_STATUS_OK);
    return result;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How long a call takes, in hundredths of nanoseconds, when nothing comes in between. */
static uint64_t measure_call(void (*call)(void))
{
    uint64_t shortest = UINT64_MAX;

    for (unsigned i = 0; i < BATCHES_MEASURED; i++) {
        uint64_t took = now_ns();

        for (unsigned n = 0; n < 100; n++)
            call();
        took = now_ns() - took;
        shortest = took < shortest ? took : shortest;
    }
    return shortest;
}

static void pause_once(void)
{
    ASYNC_pause_job();
}

static void look_at_clock(void)
{
    now_ns();
}

/*
 * Outside a job a pause returns by the same way as one that is blocked, at once; one that switches to the
 * application and back takes fifteen times as long. Half of that tells them apart; to look at the clock comes
 * on top.
 */
uint32_t offload_measure_pause(void)
{
    if (ASYNC_get_current_job() != NULL)
        return 0;
    return (uint32_t)((measure_call(look_at_clock) + measure_call(pause_once) * PAUSE_FACTOR) / 100);
}

static void pause_until_done(struct ersatz_request *request, int *cancel_state)
{
    unsigned fruitless = 0;

    for (;;) {
        /* A pause that fails (the fibre cannot be left) must not end the operation: the card has its request.
         */
        bool paused = pause_job(cancel_state);

        if (ersatz_request_is_done(request))
            break;
        fruitless++;
        if (!paused || fruitless >= FRUITLESS_PAUSES)
            ersatz_request_wait(request, SLEEP_MS);
    }
    ersatz_count(&card_stats()->early_resumes, fruitless);
}

/* The request was not accepted, and never will be: an application that is told by callback reads it from the
 * status. */
static void set_failed(ASYNC_JOB *job)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(job);
    ASYNC_callback_fn callback;
    void *arg;

    if (ASYNC_WAIT_CTX_get_callback(context, &callback, &arg))
        ASYNC_WAIT_CTX_set_status(context, ASYNC_STATUS_ERR);
}

/* One request, or a group of them. */
static enum ersatz_result make_requests(struct ersatz_device *device, const struct ersatz_op *ops,
    unsigned count, bool copy, struct ersatz_request **first)
{
    enum ersatz_result result = ersatz_request_new(device, &ops[0], copy, first);

    for (unsigned i = 1; i < count && result == ERSATZ_OK; i++) {
        struct ersatz_request *request;

        result = ersatz_request_new(device, &ops[i], copy, &request);
        if (result == ERSATZ_OK)
            ersatz_request_join(*first, request);
        else
            ersatz_request_finish(*first);
    }
    return result;
}

/* The end of a request. Where it failed by an injected fault, the error says so: nobody is to look for a
 * fault that there is not. */
static enum ersatz_result finish(struct ersatz_request *request, struct ersatz_error *error)
{
    ersatz_request_blame(request, error);
    return ersatz_request_finish(request);
}

static enum ersatz_result run_in_job(struct ersatz_device *device, const struct ersatz_op *ops,
    unsigned count, ASYNC_JOB *job, struct ersatz_error *error, int *cancel_state)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(job);
    ASYNC_callback_fn callback;
    void *arg;
    struct waiting waiting;
    bool by_callback, checked;
    struct ersatz_request *request;
    enum ersatz_result result = make_requests(device, ops, count, true, &request);

    if (result != ERSATZ_OK)
        return result;
    by_callback = ASYNC_WAIT_CTX_get_callback(context, &callback, &arg) != 0;
    if (by_callback)
        result = submit_by_callback(device, request, context, callback, arg, cancel_state);
    else
        result = submit_by_fd(request, context);
    if (result != ERSATZ_OK) {
        finish(request, error);
        return result;
    }
    checked = by_callback && card_findings() != NULL;
    if (checked)
        contexts_begin(&waiting, request, context, callback, arg);
    pause_until_done(request, cancel_state);
    if (checked)
        contexts_end(&waiting);
    return finish(request, error);
}

static enum ersatz_result run_and_wait(
    struct ersatz_device *device, const struct ersatz_op *ops, unsigned count, struct ersatz_error *error)
{
    struct ersatz_request *request;
    int retries = atomic_load_explicit(&card_policy()->max_retries, memory_order_relaxed);
    /* A copy, for this thread may leave the operation by a handler that jumps out of it (siglongjmp): the
     * card must not write then to what its stack has become. And of several operations, one may be refused
     * for the device's fault when another has been computed: the inputs are as they were, for the calling
     * core. */
    enum ersatz_result result = make_requests(device, ops, count, true, &request);

    if (result != ERSATZ_OK)
        return result;
    if (ops->kind != ERSATZ_CIPHER && atomic_load_explicit(&card_policy()->spin, memory_order_relaxed))
        result = ersatz_submit_spin(request, retries);
    else
        result = ersatz_submit_wait(request, retries);
    if (result != ERSATZ_OK) {
        finish(request, error);
        return result;
    }
    return finish(request, error);
}

/* Whether libcrypto's kernels may leave an error of a wrong tag on the queue; the card leaves none. */
static bool may_refuse(const struct ersatz_op *op)
{
    return op->kind == ERSATZ_CIPHER && (op->u.cipher.tag != NULL || op->u.cipher.aad != NULL);
}

static enum ersatz_result run_one_here(const struct ersatz_op *op)
{
    enum ersatz_result result;

    if (!may_refuse(op))
        return ersatz_compute(op, card_stats());
    ERR_set_mark();
    result = ersatz_compute(op, card_stats());
    if (result == ERSATZ_BAD_TAG)
        ERR_pop_to_mark();
    else
        ERR_clear_last_mark();
    return result;
}

static enum ersatz_result run_here(const struct ersatz_op *ops, unsigned count)
{
    enum ersatz_result result = ERSATZ_OK;

    for (unsigned i = 0; i < count && result == ERSATZ_OK; i++)
        result = run_one_here(&ops[i]);
    return result;
}

/* The job to pause, or NULL. One that was started without a wait context has nothing to be told through. */
static ASYNC_JOB *current_job(void)
{
    ASYNC_JOB *job = ASYNC_get_current_job();

    return job != NULL && ASYNC_get_wait_ctx(job) != NULL ? job : NULL;
}

/* Whether ciphers go to the card outside jobs too. */
static bool offloads_alone(void)
{
    return atomic_load_explicit(&card_policy()->sync_offload, memory_order_relaxed);
}

bool offload_may_pause(void)
{
    return offloads_alone() || current_job() != NULL;
}

/*
 * OFFLOAD:fastest. A message whose blocks are computed side by side keeps this core's vector units as busy as
 * a worker's would be, so that handing it over is pure loss. What the card gains on is many operations that
 * are serial in themselves, one to a lane, and those come only from jobs.
 */
static bool is_faster_here(const struct ersatz_op *op)
{
    if (!atomic_load_explicit(&card_policy()->fastest, memory_order_relaxed))
        return false;
    return ersatz_op_is_parallel(op) || current_job() == NULL;
}

/* Whether the modelled card does not do such operations at all, as a token for keys that knows no AES. */
static bool card_lacks(const struct ersatz_op *op)
{
    uint32_t here = atomic_load_explicit(&card_policy()->here, memory_order_relaxed);

    return here != 0 && (here >> ersatz_op_name(op) & 1) != 0;
}

enum ersatz_result offload(const struct ersatz_op *op, bool small)
{
    enum ersatz_result result;

    if (!small && !is_faster_here(op) && !card_lacks(op))
        return offload_all(op, 1, false);
    result = run_one_here(op);
    if (result != ERSATZ_OK)
        error_raise_result(result);
    return result;
}

/* What came of an operation; a device's fault in the words of *error, if there are any: why it did not start,
 * or which injected fault it was. */
static void raise_result(enum ersatz_result result, const struct ersatz_error *error, bool started)
{
    if (!ersatz_result_is_device_fault(result) || error->text[0] == '\0')
        error_raise_result(result);
    else if (started)
        error_raise(REASON_FAULT, "%s", error->text);
    else
        error_raise(
            REASON_DEVICE, "%s; or set ENABLE_SW_FALLBACK to compute on the calling core", error->text);
}

/* Whether the calling core does what the device did not: where that was asked for, and when the device has
 * stopped for good. */
static bool may_fall_back(enum ersatz_result result)
{
    return atomic_load_explicit(&card_policy()->fallback, memory_order_relaxed) ||
           (result == ERSATZ_STOPPED && card_process_ends());
}

enum ersatz_result offload_all(const struct ersatz_op *ops, unsigned count, bool small)
{
    ASYNC_JOB *job;
    struct ersatz_device *device;
    struct ersatz_error error;
    enum ersatz_result result;
    int cancel_state;
    bool started;

    small = small || card_lacks(ops);
    /* What is small does not ask for the job: that would take longer than the operation. */
    job = small ? NULL : current_job();
    if (small || (job == NULL && ops->kind == ERSATZ_CIPHER && !offloads_alone())) {
        result = run_here(ops, count);
        error_raise_result(result);
        return result;
    }
    cancel_state = forbid_cancellation();
    result = card_device(&device, &error);
    started = result == ERSATZ_OK;
    if (started) {
        error.text[0] = '\0';
        result = job != NULL ? run_in_job(device, ops, count, job, &error, &cancel_state)
                             : run_and_wait(device, ops, count, &error);
    }
    if (result == ERSATZ_STOPPED)
        card_linger_if_process_ends();
    if (ersatz_result_is_device_fault(result) && may_fall_back(result)) {
        error.text[0] = '\0';
        result = run_here(ops, count);
    }
    if (job != NULL && (ersatz_result_is_device_fault(result) || result == ERSATZ_BUSY))
        set_failed(job);
    raise_result(result, &error, started);
    allow_cancellation(cancel_state);
    return result;
}
