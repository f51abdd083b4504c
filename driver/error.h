/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the module: in struct ersatz_error, and on OpenSSL's error queue. */
#ifndef ERSATZ_DRIVER_ERROR_H
#define ERSATZ_DRIVER_ERROR_H

#include <openssl/err.h>
#include <stdbool.h>

#include "ersatz/device.h"

enum error_reason {
    REASON_BAD_COMMAND = 100, /* a control command or its value */
    REASON_DEVICE,            /* the device could not be started, or failed */
    REASON_OPERATION,         /* an operation failed */
    REASON_INPUT,             /* the caller's input */
    REASON_TOO_LATE,          /* a setting after the device started */
    REASON_NO_MEMORY,
    REASON_FAULT, /* one that FAULTS asked for */
};

int error_library(void);

/* Register the library's name and reasons. They stay: an error may be printed after the engine is gone. */
void error_load(void);

/* Put an error with a sentence (printf style) on the queue of the calling thread. */
#define error_raise(reason, ...) ERR_raise_data(error_library(), (reason), __VA_ARGS__)

/* Put this error there; its result says for which reason. */
void error_raise_error(const struct ersatz_error *error);

/* Fill in an error (printf style). Always false, so that a function can end by it. */
bool error_set(struct ersatz_error *error, enum ersatz_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What came of an operation on the card, unless it was a success or a wrong tag (which EVP reports by
 * itself). */
void error_raise_result(enum ersatz_result result);

#endif
