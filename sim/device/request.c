/* SPDX-License-Identifier: Apache-2.0 */
/* A request's memory and state: made from an operation, waited for, finished, cleansed. */
#include "request.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fork.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "instance.h"
#include "kernels/aes.h"
#include "kernels/rsa_key.h"
#include "reaper.h"
#include "trace.h"
#include "waker.h"
#include "watch/check.h"

/* Buffers up to this stay with their request for the next one, while there are not more than that in all;
 * else they are given back. */
#define BUFFER_KEPT_MAX ((size_t)128 * 1024)
#define BUFFERS_KEPT_MAX ((size_t)16 * 1024 * 1024)
#define BUFFER_ALIGNMENT ((size_t)64) /* a cache line, and the widest vector */

uint32_t request_step(struct ersatz_request *request, enum request_state from)
{
    /* Acquire and release: the thread that steps has seen, and passes on, all that went before. */
    uint32_t before = atomic_fetch_add_explicit(&request->state, 1, memory_order_acq_rel);

    ASSERT((before & REQUEST_STATE_MASK) == from);
    if (before & REQUEST_AWAITED)
        syscall(SYS_futex, &request->state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    return before;
}

void request_sleep_until(struct ersatz_request *request, enum request_state state, int timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L};
    uint32_t word = atomic_load_explicit(&request->state, memory_order_acquire);

    while ((word & REQUEST_STATE_MASK) < (uint32_t)state) {
        if (!(word & REQUEST_AWAITED)) {
            word = atomic_fetch_or_explicit(&request->state, REQUEST_AWAITED, memory_order_acq_rel) |
                   REQUEST_AWAITED;
            continue;
        }
        if (syscall(SYS_futex, &request->state, FUTEX_WAIT_PRIVATE, word, timeout_ms < 0 ? NULL : &timeout,
                NULL, 0) != 0 &&
            errno == ETIMEDOUT)
            return;
        word = atomic_load_explicit(&request->state, memory_order_acquire);
    }
}

bool request_mute(struct ersatz_request *request)
{
    uint32_t before = atomic_fetch_or_explicit(&request->state, REQUEST_MUTED, memory_order_acq_rel);

    if ((before & REQUEST_STATE_MASK) < REQUEST_SIGNALLING)
        return false; /* the thread that steps to SIGNALLING will see the flag, and not signal */
    /* The signal is on its way; it takes no longer than the system call that posts it. */
    request_sleep_until(request, REQUEST_SIGNALLED, -1);
    return true;
}

void request_reference(struct ersatz_request *request)
{
    /* Relaxed: the caller holds a reference already. */
    uint32_t before = atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);

    ASSERT(before >= 1);
}

void request_leave_cipher(struct ersatz_request *request)
{
    if (request->op.kind == ERSATZ_CIPHER)
        cipher_release(request->op.u.cipher.cipher);
}

static void release_group(struct ersatz_request *request)
{
    while (request != NULL) {
        struct ersatz_request *next = request->group_next;

        request_release(request);
        request = next;
    }
}

/* ------------------------------------------------------------------------------------------------ buffers */

/*
 * No buffer keeps a secret for long. To cleanse one means to fetch it from the worker's core, which costs a
 * busy card a tenth of its throughput, and the next request overwrites it anyway. So it is left as it is
 * while a worker is awake, and the worker cleanses what is left before it goes to sleep: pool_cleanse(). What
 * is short is not worth the trouble.
 */
#define CLEANSED_AT_ONCE 1024u

/* Relaxed: it is only compared with a limit. */
static bool has_too_many_buffers(struct ersatz_device *device)
{
    return atomic_load_explicit(&device->pool.buffer_bytes, memory_order_relaxed) > BUFFERS_KEPT_MAX;
}

static void cleanse_buffer(struct ersatz_request *request)
{
    OPENSSL_cleanse(request->buffer, request->buffer_secret);
    request->buffer_secret = 0;
}

void request_cleanse(struct ersatz_request *request)
{
    uint32_t state = BUFFER_LEFT;

    /* Acquire and release: pairs with the thread that left it, and with the one that takes it next. */
    if (atomic_load_explicit(&request->buffer_state, memory_order_relaxed) != BUFFER_LEFT ||
        !atomic_compare_exchange_strong_explicit(&request->buffer_state, &state, BUFFER_BEING_CLEANSED,
            memory_order_acquire, memory_order_relaxed))
        return;
    cleanse_buffer(request);
    atomic_store_explicit(&request->buffer_state, BUFFER_OWNED, memory_order_release);
}

/* Before the buffer is used. */
static void take_buffer(struct ersatz_request *request)
{
    uint32_t state = atomic_load_explicit(&request->buffer_state, memory_order_acquire);

    while (state != BUFFER_OWNED && (state == BUFFER_BEING_CLEANSED ||
                                        !atomic_compare_exchange_weak_explicit(&request->buffer_state, &state,
                                            BUFFER_OWNED, memory_order_acquire, memory_order_acquire))) {
        sched_yield(); /* some microseconds at the most */
        state = atomic_load_explicit(&request->buffer_state, memory_order_acquire);
    }
}

/* How much of the buffer may be secret now: what is known to have become ciphertext is not, but an earlier
 * text may have been longer. */
static void note_secret(struct ersatz_request *request)
{
    size_t len = request->op.kind == ERSATZ_CIPHER ? request->op.u.cipher.len
                                                   : ersatz_rsa_key_size(request->op.u.rsa.key);
    bool is_secret = !request->leaves_ciphertext || request->result != ERSATZ_OK;

    if (len >= request->buffer_secret)
        request->buffer_secret = is_secret ? len : 0;
}

static void leave_buffer(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    note_secret(request);
    if (request->buffer_size > BUFFER_KEPT_MAX || has_too_many_buffers(device)) {
        request_drop_buffer(request);
    } else if (request->buffer_secret <= CLEANSED_AT_ONCE) {
        cleanse_buffer(request);
    } else {
        atomic_store(&request->buffer_state, BUFFER_LEFT);
        if (!atomic_load(&device->pool.left))
            atomic_store(&device->pool.left, true);
        /* All of this is sequentially consistent: a worker sets its bit of `sleepers`, then looks at `left`.
         */
        if (device_is_asleep(device))
            request_cleanse(request);
    }
}

void request_release(struct ersatz_request *request)
{
    /* Acquire and release: the last one sees all that the others did to the request. */
    uint32_t before = atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel);

    ASSERT(before >= 1);
    if (before != 1)
        return;
    ASSERT(!request->has_slot);
    if (request->device->config.trace != NULL && request->instance != NULL)
        trace_end(request->device->config.trace, request);
    if (request->first == request)
        release_group(request->group_next);
    if (request->copied)
        leave_buffer(request);
    if (request->op.kind == ERSATZ_CIPHER)
        ersatz_cipher_free(request->op.u.cipher.cipher);
    else
        ersatz_rsa_key_free(request->op.u.rsa.key);
    device_return(request);
}

void request_drop_buffer(struct ersatz_request *request)
{
    if (request->buffer == NULL)
        return;
    cleanse_buffer(request);
    atomic_fetch_sub_explicit(
        &request->device->pool.buffer_bytes, request->buffer_size, memory_order_relaxed);
    free(request->buffer);
    request->buffer = NULL;
    request->buffer_size = 0;
}

static bool reserve(struct ersatz_request *request, size_t size)
{
    size_t rounded = (size + BUFFER_ALIGNMENT - 1) & ~(BUFFER_ALIGNMENT - 1);

    if (size <= request->buffer_size)
        return true;
    request_drop_buffer(request);
    request->buffer = aligned_alloc(BUFFER_ALIGNMENT, rounded);
    if (request->buffer == NULL)
        return false;
    request->buffer_size = rounded;
    atomic_fetch_add_explicit(&request->device->pool.buffer_bytes, rounded, memory_order_relaxed);
    return true;
}

static bool copy_rsa(struct ersatz_request *request)
{
    size_t size = ersatz_rsa_key_size(request->op.u.rsa.key);

    if (!reserve(request, size))
        return false;
    memcpy(request->buffer, request->op.u.rsa.in, size);
    request->op.u.rsa.in = request->buffer;
    request->op.u.rsa.out = request->buffer;
    return true;
}

/* The text lies at the start of the buffer, where it is aligned; then IV, associated data and tag. */
static bool copy_cipher(struct ersatz_request *request)
{
    size_t long_iv = request->op.u.cipher.long_iv == NULL ? 0 : request->op.u.cipher.iv_len;
    size_t aad = request->op.u.cipher.aad_len;
    size_t len = request->op.u.cipher.len;
    size_t tag = request->op.u.cipher.tag == NULL ? 0 : request->op.u.cipher.tag_len;
    uint8_t *at;

    if (!reserve(request, len + long_iv + aad + tag + 1))
        return false;
    at = request->buffer;
    if (len > 0)
        memcpy(at, request->op.u.cipher.in, len);
    request->op.u.cipher.in = at;
    request->op.u.cipher.out = at;
    at += len;
    if (long_iv > 0) {
        memcpy(at, request->op.u.cipher.long_iv, long_iv);
        request->op.u.cipher.long_iv = at;
        at += long_iv;
    }
    if (aad > 0) {
        memcpy(at, request->op.u.cipher.aad, aad);
        request->op.u.cipher.aad = at;
        at += aad;
    }
    if (tag > 0) {
        memcpy(at, request->op.u.cipher.tag, tag);
        request->op.u.cipher.tag = at;
    }
    return true;
}

enum ersatz_result ersatz_request_new(
    struct ersatz_device *device, const struct ersatz_op *op, bool copy, struct ersatz_request **out)
{
    struct ersatz_request *request;

    *out = NULL;
    if (op->kind == ERSATZ_CIPHER && !cipher_lengths_possible(op))
        return ERSATZ_BAD_INPUT;
    if (op->kind == ERSATZ_CIPHER && !cipher_claim(op->u.cipher.cipher))
        return ERSATZ_BUSY;
    request = device_take(device);
    if (request == NULL) {
        if (op->kind == ERSATZ_CIPHER)
            cipher_release(op->u.cipher.cipher);
        return ERSATZ_NO_MEMORY;
    }
    request->op = *op;
    request->copied = copy;
    request->instance = NULL;
    request->has_slot = false;
    request->waker = NULL;
    request->watched = (struct watched){.state = &request->state,
        .op = &request->op,
        .number = &request->times.number,
        .submitted_ns = &request->times.at[ERSATZ_POINT_SUBMITTED]};
    request->first = request;
    request->group_next = NULL;
    atomic_store_explicit(&request->group_open, 1, memory_order_relaxed);
    request->result = ERSATZ_STOPPED;
    times_reset(request);
    faults_begin(request);
    atomic_store_explicit(&request->state, REQUEST_PENDING, memory_order_relaxed);
    atomic_store_explicit(&request->references, 1, memory_order_relaxed);
    if (op->kind == ERSATZ_CIPHER)
        cipher_reference(op->u.cipher.cipher);
    else
        ersatz_rsa_key_reference(op->u.rsa.key);
    if (copy) {
        request->caller_op = *op;
        take_buffer(request);
        request->leaves_ciphertext =
            op->kind == ERSATZ_CIPHER && cipher_writes_ciphertext(op->u.cipher.cipher);
        if (!(op->kind == ERSATZ_CIPHER ? copy_cipher(request) : copy_rsa(request))) {
            request->copied = false;
            request_leave_cipher(request);
            request_release(request);
            return ERSATZ_NO_MEMORY;
        }
    }
    *out = request;
    return ERSATZ_OK;
}

void ersatz_request_join(struct ersatz_request *first, struct ersatz_request *request)
{
    struct ersatz_request **end = &first->group_next;

    ASSERT(request->first == request && request->group_next == NULL && request->instance == NULL);
    while (*end != NULL)
        end = &(*end)->group_next;
    *end = request;
    request->first = first;
    /* Relaxed: submission publishes it. */
    atomic_fetch_add_explicit(&first->group_open, 1, memory_order_relaxed);
}

static void copy_results_out(const struct ersatz_request *request)
{
    const struct ersatz_op *from = &request->op;
    const struct ersatz_op *to = &request->caller_op;

    if (to->kind != ERSATZ_CIPHER) {
        memcpy(to->u.rsa.out, from->u.rsa.out, ersatz_rsa_key_size(from->u.rsa.key));
        return;
    }
    if (to->u.cipher.len > 0)
        memcpy(to->u.cipher.out, from->u.cipher.out, to->u.cipher.len);
    if (to->u.cipher.tag != NULL)
        memcpy(to->u.cipher.tag, from->u.cipher.tag, to->u.cipher.tag_len);
}

bool request_is_inherited(const struct ersatz_request *request)
{
    return device_generation(request->device) != process_generation();
}

static bool is_muted(const struct ersatz_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) & REQUEST_MUTED;
}

/* There may have been two signals, the spurious one and the request's own. While the card is posting its own,
 * it is unknown whether that was among those just consumed: wait until it is posted.
 */
static void wait_for_own_signal(struct ersatz_request *request)
{
    if (request_state(request) == REQUEST_SIGNALLING)
        request_sleep_until(request, REQUEST_SIGNALLED, -1);
}

/* drained: whether the descriptor was readable, by whatever made it so. */
static bool is_done_fd(struct ersatz_request *request, bool *drained)
{
    if (is_muted(request)) /* the descriptor signals a newer request now: leave its signal alone */
        return request_state(request) == REQUEST_SIGNALLED;
    *drained = waker_drain(request->waker);
    if (request_is_struck(&request->faults, ERSATZ_FAULT_SPURIOUS))
        wait_for_own_signal(request);
    else if (*drained && request_state(request) >= REQUEST_COMPLETE)
        return true; /* the one signal of this request was just consumed: none can follow */
    if (request_state(request) != REQUEST_SIGNALLED)
        return false;
    waker_drain(request->waker); /* posted after the first look, or consumed by the application itself */
    return true;
}

static bool is_done_callback(struct ersatz_request *request)
{
    switch (request_state(request)) {
    case REQUEST_PENDING:
        return false;
    case REQUEST_COMPLETE:
        return is_muted(request); /* see ersatz_request_wait() */
    case REQUEST_SIGNALLING:
        if (!is_muted(request) && !pthread_equal(request->caller, pthread_self()))
            request_sleep_until(request, REQUEST_SIGNALLED, -1); /* the callback is about to return */
        return true;
    default:
        return true;
    }
}

void ersatz_request_lost(struct ersatz_request *request, bool reused, bool silence)
{
    if (request_is_inherited(request))
        return;
    if (!(atomic_load_explicit(&request->state, memory_order_acquire) & REQUEST_MUTED))
        ersatz_count(&device_stats(request->device)->orphans, 1);
    if (request->device->check != NULL)
        check_orphaned(request->device->check, &request->watched, reused);
    /* Does not wait for a running callback: it may be the caller, or wait for the caller. */
    if (silence)
        atomic_fetch_or_explicit(&request->state, REQUEST_MUTED, memory_order_acq_rel);
}

static bool is_done(struct ersatz_request *request, bool *drained)
{
    switch (request->notify) {
    case NOTIFY_FD:
        return is_done_fd(request, drained);
    case NOTIFY_CALLBACK:
        return is_done_callback(request);
    default:
        return request_state(request) == REQUEST_SIGNALLED;
    }
}

bool ersatz_request_is_done(struct ersatz_request *request)
{
    struct check *check = request->device->check;
    uint64_t back_ns = check == NULL ? 0 : clock_now();
    bool drained = false, done;

    if (request_is_inherited(request))
        return true;
    done = is_done(request, &drained);
    if (done)
        times_mark(request, ERSATZ_POINT_RESUMED);
    if (check != NULL) {
        if (done)
            check_answered(check, &request->watched);
        else
            check_early_resume(check, &request->watched, back_ns, drained);
    }
    return done;
}

void ersatz_request_wait(struct ersatz_request *request, int timeout_ms)
{
    if (request->notify == NOTIFY_FD) {
        ersatz_device_make_room(request->device); /* it may still be in line */
        waker_wait(request->waker, timeout_ms);
    } else if (request->notify == NOTIFY_CALLBACK &&
               (device_polled_externally(request->device) || reaper_in_callback(request->device))) {
        request_sleep_until(request, REQUEST_COMPLETE, timeout_ms);
        if (request_state(request) == REQUEST_COMPLETE)
            request_mute(request);
    } else {
        request_sleep_until(request, REQUEST_SIGNALLED, timeout_ms);
    }
}

/* The result of a group: the first one that is not a success. */
static enum ersatz_result group_result(const struct ersatz_request *request)
{
    enum ersatz_result result = ERSATZ_OK;

    for (; request != NULL && result == ERSATZ_OK; request = request->group_next)
        result = request->result;
    return result;
}

static void idle_group(struct ersatz_request *request)
{
    for (; request != NULL; request = request->group_next)
        request_leave_cipher(request);
}

static void lose_group(struct ersatz_request *request)
{
    for (; request != NULL; request = request->group_next) {
        if (request->op.kind == ERSATZ_CIPHER)
            cipher_release_lost(request->op.u.cipher.cipher);
    }
}

enum ersatz_result ersatz_request_finish(struct ersatz_request *request)
{
    enum ersatz_result result = ERSATZ_STOPPED;

    if (request_is_inherited(request)) {
        /* The device stayed in the parent, and whether it computed the request is unknown here. Only if the
         * request was never accepted, the cipher state is known to be unchanged. */
        if (request->instance == NULL)
            idle_group(request);
        else
            lose_group(request);
        return result;
    }
    if (request->device->check != NULL)
        check_finished(request->device->check, &request->watched);
    if (request->instance == NULL) { /* never accepted: no other thread uses it */
        idle_group(request);
    } else {
        result = group_result(request);
        if (request->notify == NOTIFY_FD)
            waker_detach(request->waker, request);
        for (struct ersatz_request *each = request; each != NULL && result == ERSATZ_OK;
             each = each->group_next) {
            if (each->copied)
                copy_results_out(each);
        }
        times_return(request);
    }
    request_release(request);
    return result;
}
