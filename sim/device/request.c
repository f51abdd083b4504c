/* SPDX-License-Identifier: Apache-2.0 */
/* A request's memory and state: made from an operation, stepped, slept on, released. */
#include "request.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fork.h"
#include "buffer.h"
#include "device.h"
#include "direct.h"
#include "ersatz/assertion.h"
#include "ersatz/latency.h"
#include "kernels/aes.h"
#include "kernels/rsa_key.h"
#include "trace.h"

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

/* Of a group, the first request is signalled for all, and released last. */
static void count_latency(const struct ersatz_request *request)
{
    uint64_t submitted = request->times.at[ERSATZ_POINT_SUBMITTED];
    uint64_t signalled = request->first->times.at[ERSATZ_POINT_SIGNALLED];

    if (submitted != 0 && signalled > submitted)
        ersatz_latency_count(
            request->device->config.latency, ersatz_op_name(&request->op), signalled - submitted);
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
    if (request->device->config.latency != NULL)
        count_latency(request);
    if (request->first == request)
        release_group(request->group_next);
    if (request->copied)
        buffer_leave(request);
    if (request->op.kind == ERSATZ_CIPHER)
        ersatz_cipher_free(request->op.u.cipher.cipher);
    else
        rsa_key_leave(request->op.u.rsa.key, request->pool_list);
    device_return(request);
}

static bool copy_rsa(struct ersatz_request *request)
{
    size_t size = ersatz_rsa_key_size(request->op.u.rsa.key);

    if (!buffer_reserve(request, size))
        return false;
    memcpy(request->buffer, request->op.u.rsa.in, size);
    request->op.u.rsa.in = request->buffer;
    request->op.u.rsa.out = request->buffer;
    return true;
}

/* The text lies at the start of the buffer, where it is aligned, unless it is direct; then IV, associated
 * data and tag. */
static bool copy_cipher(struct ersatz_request *request)
{
    size_t long_iv = request->op.u.cipher.long_iv == NULL ? 0 : request->op.u.cipher.iv_len;
    size_t aad = request->op.u.cipher.aad_len;
    size_t len = request->direct ? 0 : request->op.u.cipher.len;
    size_t tag = request->op.u.cipher.tag == NULL ? 0 : request->op.u.cipher.tag_len;
    uint8_t *at;

    if (!buffer_reserve(request, len + long_iv + aad + tag + 1))
        return false;
    at = request->buffer;
    if (len > 0)
        memcpy(at, request->op.u.cipher.in, len);
    if (!request->direct) {
        request->op.u.cipher.in = at;
        request->op.u.cipher.out = at;
    }
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

/* Of RSA, without the bytes that only a cipher has: they lie on a further cache line. */
static void copy_op(struct ersatz_op *to, const struct ersatz_op *from)
{
    if (from->kind == ERSATZ_CIPHER) {
        *to = *from;
    } else {
        to->kind = from->kind;
        to->u.rsa = from->u.rsa;
    }
}

static void note_caller(struct ersatz_request *request, const struct ersatz_op *op)
{
    bool is_cipher = op->kind == ERSATZ_CIPHER;

    request->caller_out = is_cipher ? op->u.cipher.out : op->u.rsa.out;
    request->caller_tag = is_cipher ? op->u.cipher.tag : NULL;
}

static enum ersatz_result make_request(struct ersatz_device *device, const struct ersatz_op *op, bool copy,
    bool direct, struct ersatz_request **out)
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
    copy_op(&request->op, op);
    request->copied = copy;
    request->direct = direct && direct_is_possible(op);
    request->in_company = false;
    request->instance = NULL;
    request->has_slot = false;
    request->waker = NULL;
    if (device->check != NULL)
        request->watched = (struct watched){.state = &request->state,
            .op = &request->op,
            .number = &request->times.number,
            .submitted_ns = &request->times.at[ERSATZ_POINT_SUBMITTED]};
    request->first = request;
    request->group_next = NULL;
    atomic_store_explicit(&request->group_open, 1, memory_order_relaxed);
    request->result = ERSATZ_STOPPED;
    times_reset(request);
    if (device->faults != NULL)
        memset(&request->faults, 0, sizeof(request->faults));
    atomic_store_explicit(&request->state, REQUEST_PENDING, memory_order_relaxed);
    atomic_store_explicit(&request->references, 1, memory_order_relaxed);
    if (op->kind == ERSATZ_CIPHER)
        cipher_reference(op->u.cipher.cipher);
    else
        rsa_key_use(op->u.rsa.key, request->pool_list);
    if (copy) {
        note_caller(request, op);
        buffer_take(request);
        request->leaves_ciphertext =
            op->kind == ERSATZ_CIPHER && cipher_writes_ciphertext(op->u.cipher.cipher);
        if (!(op->kind == ERSATZ_CIPHER ? copy_cipher(request) : copy_rsa(request))) {
            request->copied = false;
            request_leave_cipher(request);
            request_release(request);
            return ERSATZ_NO_MEMORY;
        }
    }
    if (request->direct)
        direct_made(request);
    *out = request;
    return ERSATZ_OK;
}

enum ersatz_result ersatz_request_new(
    struct ersatz_device *device, const struct ersatz_op *op, bool copy, struct ersatz_request **out)
{
    return make_request(device, op, copy, false, out);
}

enum ersatz_result ersatz_request_new_direct(
    struct ersatz_device *device, const struct ersatz_op *op, struct ersatz_request **out)
{
    return make_request(device, op, true, true, out);
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

bool ersatz_request_had_company(const struct ersatz_request *request)
{
    return !request_is_inherited(request) &&
           (request->in_company || ersatz_device_is_busy(request->device, request_flight(request)));
}

bool request_is_inherited(const struct ersatz_request *request)
{
    return device_generation(request->device) != process_generation();
}
