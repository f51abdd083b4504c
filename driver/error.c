/* SPDX-License-Identifier: Apache-2.0 */
/* Our error library: its name and reasons. */
#include "error.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "ersatz/undisturbed.h"

/* Assigned once, when the module is first loaded. A reader sees 0 or the number; ERR takes both. */
static _Atomic int library;
static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER; /* while it is assigned */

/* Not const: libcrypto writes the library's number into them. */
static ERR_STRING_DATA name[] = {{0, "ersatz"}, {0, NULL}};
static ERR_STRING_DATA reasons[] = {
    {ERR_PACK(0, 0, REASON_BAD_COMMAND), "bad control command"},
    {ERR_PACK(0, 0, REASON_DEVICE), "device not available"},
    {ERR_PACK(0, 0, REASON_OPERATION), "operation failed"},
    {ERR_PACK(0, 0, REASON_INPUT), "bad input"},
    {ERR_PACK(0, 0, REASON_TOO_LATE), "device already started"},
    {ERR_PACK(0, 0, REASON_NO_MEMORY), "out of memory"},
    {ERR_PACK(0, 0, REASON_FAULT), "injected fault"},
    {0, NULL},
};

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

int error_library(void)
{
    return atomic_load_explicit(&library, memory_order_relaxed);
}

void error_load(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&lock, &locked);
    if (error_library() == 0) {
        int number = ERR_get_next_error_library();

        name[0].error = ERR_PACK(number, 0, 0);
        ERR_load_strings(0, name);
        ERR_load_strings(number, reasons);
        atomic_store_explicit(&library, number, memory_order_relaxed);
    }
    ersatz_unlock(&locked);
}

bool error_set(struct ersatz_error *error, enum ersatz_result result, const char *format, ...)
{
    va_list args;

    error->result = result;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return false;
}

static enum error_reason reason_of(enum ersatz_result result)
{
    switch (result) {
    case ERSATZ_BAD_CONFIG:
        return REASON_BAD_COMMAND;
    case ERSATZ_TOO_LATE:
        return REASON_TOO_LATE;
    case ERSATZ_NO_MEMORY:
        return REASON_NO_MEMORY;
    default:
        return ersatz_result_is_device_fault(result) ? REASON_DEVICE : REASON_OPERATION;
    }
}

void error_raise_error(const struct ersatz_error *error)
{
    error_raise(reason_of(error->result), "%s", error->text);
}

void error_raise_result(enum ersatz_result result)
{
    switch (result) {
    case ERSATZ_OK:
    case ERSATZ_BAD_TAG:
        break;
    case ERSATZ_NO_MEMORY:
        error_raise(REASON_NO_MEMORY, "%s", ersatz_result_text(result));
        break;
    case ERSATZ_BAD_INPUT:
    case ERSATZ_BAD_KEY:
    case ERSATZ_BUSY:
        error_raise(REASON_INPUT, "%s", ersatz_result_text(result));
        break;
    default:
        error_raise(ersatz_result_is_device_fault(result) ? REASON_DEVICE : REASON_OPERATION, "%s",
            ersatz_result_text(result));
    }
}
