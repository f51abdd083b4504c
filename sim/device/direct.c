/* SPDX-License-Identifier: Apache-2.0 */
/* See direct.h. */
#include "direct.h"

#include <string.h>

#include "device.h"
#include "watch/check.h"

/*
 * The kernels are vector code and libraries, which the address sanitizer does not see, and usually only the
 * application is built with it. So the card asks the sanitizer whether the text may be used, and lets it
 * report the use. Weak: NULL in a process without the sanitizer. The names are its own, in assembler, since
 * the compiler declares some of these functions itself.
 */
extern void *asan_first_poisoned(const void *from, size_t len) __asm__("__asan_region_is_poisoned")
    __attribute__((weak));
extern void asan_report_read(const void *from, size_t len) __asm__("__asan_report_load_n_noabort")
    __attribute__((weak));
extern void asan_report_write(const void *from, size_t len) __asm__("__asan_report_store_n_noabort")
    __attribute__((weak));

/* Functions of their own, so that the sanitizer's report names them. The empty statement behind its call
 * keeps that from becoming a jump. */
static __attribute__((noinline)) void card_reads_application_memory(const uint8_t *text, size_t len)
{
    const uint8_t *bad = asan_first_poisoned(text, len);

    if (bad != NULL)
        asan_report_read(bad, (size_t)(text + len - bad));
    __asm__ volatile("");
}

static __attribute__((noinline)) void card_writes_application_memory(const uint8_t *text, size_t len)
{
    const uint8_t *bad = asan_first_poisoned(text, len);

    if (bad != NULL)
        asan_report_write(bad, (size_t)(text + len - bad));
    __asm__ volatile("");
}

bool direct_is_possible(const struct ersatz_op *op)
{
    uintptr_t in, out;

    if (op->kind != ERSATZ_CIPHER)
        return false;
    in = (uintptr_t)op->u.cipher.in;
    out = (uintptr_t)op->u.cipher.out;
    return in == out || in + op->u.cipher.len <= out || out + op->u.cipher.len <= in;
}

bool direct_overwrites_input(const struct ersatz_request *request)
{
    return request->direct && request->op.u.cipher.in == request->op.u.cipher.out;
}

/* A sum in which any single change shows. Each step can be undone, so two texts that differ in one word
 * cannot have the same sum. */
static uint64_t sum_of(const uint8_t *text, size_t len)
{
    uint64_t sum = len;

    while (len > 0) {
        uint64_t word = 0;
        size_t part = len < sizeof(word) ? len : sizeof(word);

        memcpy(&word, text, part);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* odd */
        sum ^= sum >> 32;
        text += part;
        len -= part;
    }
    return sum;
}

static uint64_t sum_of_input(const struct ersatz_request *request)
{
    return sum_of(request->op.u.cipher.in, request->op.u.cipher.len);
}

static uint64_t sum_of_output(const struct ersatz_request *request)
{
    return sum_of(request->op.u.cipher.out, request->op.u.cipher.len);
}

void direct_made(struct ersatz_request *request)
{
    if (request->device->check != NULL)
        request->direct_sums.in = sum_of_input(request);
}

void direct_begins(struct ersatz_request *request)
{
    const struct ersatz_op *op = &request->op;
    uint64_t sum;

    if (asan_first_poisoned != NULL) {
        card_reads_application_memory(op->u.cipher.in, op->u.cipher.len);
        card_writes_application_memory(op->u.cipher.out, op->u.cipher.len);
    }
    if (request->device->check == NULL)
        return;
    sum = sum_of_input(request);
    if (sum != request->direct_sums.in)
        check_buffer_touched(
            request->device->check, &request->watched, "its input changed before the card read it");
    request->direct_sums.in = sum; /* reported once */
}

void direct_ends(struct ersatz_request *request)
{
    if (request->device->check != NULL)
        request->direct_sums.out = sum_of_output(request);
}

void direct_resumed(struct ersatz_request *request)
{
    const char *touched = NULL;

    if (ersatz_result_is_device_fault(request->result))
        return; /* the card did not compute it */
    if (!direct_overwrites_input(request) && sum_of_input(request) != request->direct_sums.in)
        touched = "its input changed before the job was resumed";
    else if (sum_of_output(request) != request->direct_sums.out)
        touched = "its output changed between the card's writing and the job's resumption";
    if (touched != NULL)
        check_buffer_touched(request->device->check, &request->watched, touched);
}
