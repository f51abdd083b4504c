/* SPDX-License-Identifier: Apache-2.0 */
/* The results in words; and which of them are faults of the device. */
#include "ersatz/result.h"

const char *ersatz_result_text(enum ersatz_result result)
{
    switch (result) {
    case ERSATZ_OK:
        return "success";
    case ERSATZ_RING_FULL:
        return "the request ring is full";
    case ERSATZ_BUSY:
        return "another operation on the same cipher context is still in flight";
    case ERSATZ_BAD_CONFIG:
        return "a setting is out of range";
    case ERSATZ_BAD_KEY:
        return "the key lacks a part that the operation needs, or its parts do not fit together";
    case ERSATZ_BAD_INPUT:
        return "the input has a length or a value that the operation does not accept";
    case ERSATZ_BAD_TAG:
        return "the authentication tag does not match";
    case ERSATZ_LOST:
        return "the process forked while the card had a piece of this message, which is lost in the child; "
               "start the message again";
    case ERSATZ_COMPUTE_FAILED:
        return "the computation failed or its result did not verify";
    case ERSATZ_NO_MEMORY:
        return "out of memory";
    case ERSATZ_NO_DESCRIPTORS:
        return "no file descriptor is free; raise the limit (ulimit -n)";
    case ERSATZ_NO_THREADS:
        return "a thread could not be started; raise the limit (ulimit -u)";
    case ERSATZ_NO_URING:
        return "io_uring is not available to this process";
    case ERSATZ_STOPPED:
        return "the device was stopped before a worker took the request";
    case ERSATZ_DEVICE_ERROR:
        return "the card failed at the operation";
    case ERSATZ_DEVICE_RESET:
        return "the card was reset";
    case ERSATZ_DEVICE_GONE:
        return "the card is gone";
    case ERSATZ_TOO_LATE:
        return "the setting has another value while the device runs";
    }
    return "unknown result";
}

bool ersatz_result_is_device_fault(enum ersatz_result result)
{
    switch (result) {
    case ERSATZ_RING_FULL:
    case ERSATZ_NO_MEMORY:
    case ERSATZ_NO_DESCRIPTORS:
    case ERSATZ_NO_THREADS:
    case ERSATZ_NO_URING:
    case ERSATZ_STOPPED:
    case ERSATZ_DEVICE_ERROR:
    case ERSATZ_DEVICE_RESET:
    case ERSATZ_DEVICE_GONE:
        return true;
    default:
        return false;
    }
}
