/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands that do something: ask the card, drive it, or name the files that it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "check.h"
#include "command_functions.h"
#include "error.h"
#include "ersatz/output.h"
#include "ersatz/undisturbed.h"
#include "steering.h"

static bool answer_number(const struct command_call *call, int number)
{
    if (call->answer != NULL) {
        call->answer->given = true;
        call->answer->number = number;
    }
    return true;
}

/* ----------------------------------------------------------------------------- answer from the counters */

bool answer_retries(const struct command_call *call)
{
    return answer_number(call, (int)atomic_load(&card_stats()->retries));
}

/* The control socket's thread must not take the card's lock, and wants the number of now. */
static void ask_in_flight(struct ersatz_device *device, void *arg)
{
    const struct command_call *call = arg;

    answer_number(call, call->number < (long)ERSATZ_FLIGHTS
                            ? ersatz_device_in_flight(device, (enum ersatz_flight)call->number)
                            : 0);
}

bool answer_in_flight(const struct command_call *call)
{
    /* The last three kinds are queues of QAT_Engine's batches in software. Nothing of ours waits outside a
     * ring. */
    static _Atomic int none;
    _Atomic int *counter;

    if (call->by_socket)
        return command_use_device(call, ask_in_flight, (void *)call);
    counter =
        call->number < (long)ERSATZ_FLIGHTS ? card_keep_in_flight((enum ersatz_flight)call->number) : &none;
    call->answer->counter = counter;
    return answer_number(call, atomic_load(counter));
}

bool answer_instances(const struct command_call *call)
{
    return answer_number(call, (int)card_instances());
}

static bool write_statistics(FILE *stream)
{
    return ersatz_stats_write(card_stats(), card_findings(), card_latency(), ersatz_kernels_in_use(), stream);
}

/* Without an answer they go to standard output. */
static bool write_statistics_to(struct command_answer *answer)
{
    FILE *memory;
    bool ok;

    if (answer == NULL)
        return write_statistics(stdout);
    memory = open_memstream(&answer->text, &answer->len);
    ok = memory != NULL && write_statistics(memory);
    if (memory != NULL)
        fclose(memory);
    answer->given = ok;
    return ok;
}

bool answer_statistics(const struct command_call *call)
{
    struct ersatz_writing writing;
    bool ok;

    ersatz_writing_begin(&writing);
    ok = write_statistics_to(call->answer);
    ersatz_writing_end(&writing, !ok);
    return ok || error_set(call->error, ERSATZ_COMPUTE_FAILED, "%s could not be written%s", call->name,
                     call->answer == NULL ? " to standard output" : ": out of memory");
}

/* --------------------------------------------------------------------------------------- use the device */

static bool failed_at_start(const struct command_call *call, const struct ersatz_error *error)
{
    return error_set(call->error, error->result, "%s: %.900s", call->name, error->text);
}

/* anew: start the device even if the engine was given back. */
static bool hold_and_use(const struct command_call *call, bool anew,
    void (*use)(struct ersatz_device *device, void *arg), void *arg)
{
    struct ersatz_undisturbed before;
    struct ersatz_device *device;
    struct ersatz_error error;
    enum ersatz_result result;

    ersatz_undisturbed_begin(&before);
    result = card_hold(&device, anew, &error);
    if (result == ERSATZ_OK) {
        use(device, arg);
        card_release_held();
    }
    ersatz_undisturbed_end(&before);
    return result == ERSATZ_OK || failed_at_start(call, &error);
}

bool command_use_device(
    const struct command_call *call, void (*use)(struct ersatz_device *device, void *arg), void *arg)
{
    if (!call->by_socket)
        return hold_and_use(call, false, use, arg);
    return steering_use(use, arg) ||
           error_set(call->error, ERSATZ_STOPPED, "%s: the card has stopped", call->name);
}

static void only_start(struct ersatz_device *device, void *arg)
{
    (void)device;
    (void)arg;
}

bool start_card(const struct command_call *call)
{
    struct ersatz_error error;

    if (atomic_load(&card_policy()->fallback) && card_probe(&error) != ERSATZ_OK)
        return true; /* no device can be started, and the calling core computes instead */
    return hold_and_use(call, true, only_start, NULL);
}

bool bind_thread(const struct command_call *call)
{
    ersatz_thread_bind((unsigned)(call->number % (long)card_instances())); /* as in QAT_Engine */
    return start_card(call);
}

static void hold(struct ersatz_device *device, void *arg)
{
    const struct command_call *call = arg;

    ersatz_device_hold(device, (enum ersatz_hold)call->number);
}

bool hold_requests(const struct command_call *call)
{
    return command_use_device(call, hold, (void *)call);
}

static void release(struct ersatz_device *device, void *arg)
{
    const struct command_call *call = arg;

    ersatz_device_release(device, (unsigned)call->number);
}

bool release_requests(const struct command_call *call)
{
    return command_use_device(call, release, (void *)call);
}

/* ---------------------------------------------------------------------------------------------- polling */

/* The answers of POLL and HEARTBEAT_POLL are QAT_Engine's CPA_STATUS_SUCCESS and CPA_STATUS_FAIL. */
#define STATUS_SUCCESS 0
#define STATUS_FAIL (-1)

bool poll_card(const struct command_call *call)
{
    struct ersatz_device *device;
    struct ersatz_error error;

    if (card_hold(&device, false, &error) != ERSATZ_OK) {
        answer_number(call, STATUS_FAIL);
        return failed_at_start(call, &error);
    }
    ersatz_device_poll(device); /* runs callbacks of the application, so not by command_use_device() */
    card_release_held();
    return answer_number(call, STATUS_SUCCESS);
}

static void ask_heartbeat(struct ersatz_device *device, void *call)
{
    answer_number(call, ersatz_device_is_running(device) ? STATUS_SUCCESS : STATUS_FAIL);
}

bool answer_heartbeat(const struct command_call *call)
{
    answer_number(call, STATUS_FAIL);
    return command_use_device(call, ask_heartbeat, (void *)call);
}

static void ask_descriptor(struct ersatz_device *device, void *arg)
{
    const struct command_call *call = arg;

    answer_number(call, ersatz_device_response_fd(device, (unsigned)call->number));
}

bool answer_descriptor(const struct command_call *call)
{
    unsigned instances = card_instances();

    if (call->number >= (long)instances)
        return error_set(call->error, ERSATZ_BAD_CONFIG, "%s is %ld; it must be from 0 to %u", call->name,
            call->number, instances - 1);
    if (atomic_load(&card_policy()->polling.timed))
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s cannot be used after DISABLE_EVENT_DRIVEN_POLLING_MODE", call->name);
    if (!command_use_device(call, ask_descriptor, (void *)call))
        return false;
    return call->answer->number >= 0 ||
           error_set(call->error, ERSATZ_NO_DESCRIPTORS,
               "%s: no descriptor (ulimit -n), no thread or no locked memory (ulimit -l) for a response ring",
               call->name);
}

/* ------------------------------------------------------------------------ name files, prepare the check */

static bool need_path(const struct command_call *call, const char *of)
{
    return call->text[0] != '\0' || error_set(call->error, ERSATZ_BAD_CONFIG,
                                        "%s is empty; expected the path of a %s", call->name, of);
}

/* Without memory the error says no more than the command's name. */
static bool succeeded(const struct command_call *call, enum ersatz_result result)
{
    return result == ERSATZ_OK || error_set(call->error, result, "%s", call->name);
}

bool set_statistics_file(const struct command_call *call)
{
    return need_path(call, "file") && succeeded(call, card_set_stats_file(call->text));
}

bool set_trace(const struct command_call *call)
{
    bool in_record = strcmp(call->text, "record") == 0;

    if (!need_path(call, "file"))
        return false;
    if (in_record && !card_has_record())
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s:record needs RECORD, because it keeps the trace in the record; for a file named record, use "
            "./record",
            call->name);
    return succeeded(call, card_set_trace(in_record ? NULL : call->text));
}

bool keep_record(const struct command_call *call)
{
    struct ersatz_error error;
    enum ersatz_result result;

    if (!need_path(call, "directory"))
        return false;
    error.text[0] = '\0';
    result = card_keep_record(call->text, &error);
    return result == ERSATZ_OK || error_set(call->error, result, "%s: %.900s", call->name, error.text);
}

bool keep_crashes(const struct command_call *call)
{
    if (call->number == 1 && !card_has_record())
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s needs RECORD, because it leaves the stack of a crash in the record", call->name);
    card_keep_crashes(call->number == 1);
    return true;
}

/* The check tells by the time of a pause whether the job did pause. That can be measured outside a job only,
 * so it is done when the command comes and not when the device starts. */
bool measure_pause(const struct command_call *call)
{
    uint32_t pause_ns = call->number == 1 ? findings_measure_pause() : 0;

    if (pause_ns != 0)
        atomic_store(&card_policy()->pause_ns, pause_ns);
    return true;
}
