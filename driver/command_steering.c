/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands that steer a running card. */
#include <stdio.h>
#include <stdlib.h>

#include "card.h"
#include "command_functions.h"
#include "error.h"
#include "ersatz/faults.h"
#include "report.h"
#include "steering.h"

/* ------------------------------------------------------------------------------------------------- resets */

struct steered {
    const struct command_call *call;
    const struct ersatz_faults *faults;
    enum ersatz_result result;
};

/* Run use() on the device; it sets the result. */
static bool steer(const struct command_call *call, const struct ersatz_faults *faults,
    void (*use)(struct ersatz_device *device, void *steered))
{
    struct steered steered = {call, faults, ERSATZ_OK};

    if (!command_use_device(call, use, &steered))
        return false;
    if (steered.result == ERSATZ_TOO_LATE)
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s needs CONTROL or FAULTS, given before the card starts", call->name);
    return steered.result == ERSATZ_OK || error_set(call->error, steered.result, "%s", call->name);
}

static void reset(struct ersatz_device *device, void *arg)
{
    struct steered *steered = arg;

    if (!ersatz_device_reset(device, (uint64_t)steered->call->number * 1000000))
        steered->result = ERSATZ_TOO_LATE;
}

bool reset_card(const struct command_call *call)
{
    return steer(call, NULL, reset);
}

static void take_away(struct ersatz_device *device, void *arg)
{
    if (!ersatz_device_remove(device))
        ((struct steered *)arg)->result = ERSATZ_TOO_LATE;
}

bool take_card_away(const struct command_call *call)
{
    return steer(call, NULL, take_away);
}

static void bring_back(struct ersatz_device *device, void *arg)
{
    if (!ersatz_device_bring_back(device))
        ((struct steered *)arg)->result = ERSATZ_TOO_LATE;
}

bool bring_card_back(const struct command_call *call)
{
    return steer(call, NULL, bring_back);
}

/* ------------------------------------------------------------------------ what else changes while it runs */

static void replace(struct ersatz_device *device, void *arg)
{
    struct steered *steered = arg;

    steered->result = ersatz_device_replace_faults(device, steered->faults);
}

bool replace_faults(const struct command_call *call)
{
    struct ersatz_faults faults;

    return parse_faults(call, &faults) && steer(call, &faults, replace);
}

bool set_next_profile(const struct command_call *call)
{
    struct ersatz_profile *profile = calloc(1, sizeof(*profile));

    if (profile == NULL)
        return error_set(call->error, ERSATZ_NO_MEMORY, "%s", call->name);
    if (!parse_profile(call, profile)) {
        free(profile);
        return false;
    }
    card_set_next_profile(profile);
    return true;
}

/* ------------------------------------------------------------------------------------------------ answers */

bool write_trace(const struct command_call *call)
{
    struct ersatz_error error;

    if (call->text[0] != '/')
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s is \"%.200s\"; expected an absolute path, because the program may be in any directory",
            call->name, call->text);
    return report_write_trace(call->text, steering_record(), &error) ||
           error_set(call->error, ERSATZ_BAD_CONFIG, "%s %.900s", call->name, error.text);
}

bool answer_findings(const struct command_call *call)
{
    const struct ersatz_findings *findings = card_findings();
    FILE *stream;
    bool ok;

    if (findings == NULL)
        return error_set(
            call->error, ERSATZ_BAD_CONFIG, "%s needs CHECK:1, given before the card starts", call->name);
    stream = open_memstream(&call->answer->text, &call->answer->len);
    ok = stream != NULL && ersatz_findings_write_json(findings, stream);
    if (stream != NULL)
        ok = fclose(stream) == 0 && ok;
    call->answer->given = ok;
    return ok || error_set(call->error, ERSATZ_NO_MEMORY, "%s: out of memory", call->name);
}

/* ------------------------------------------------------------------------------------------------ CONTROL */

bool set_control_socket(const struct command_call *call)
{
    struct ersatz_error error = {.text = ""};
    enum ersatz_result result;

    if (call->text[0] == '\0')
        return error_set(
            call->error, ERSATZ_BAD_CONFIG, "%s is empty; expected the path of a socket", call->name);
    result = card_set_control(call->text, &error);
    return result == ERSATZ_OK || error_set(call->error, result, "%s: %.900s", call->name, error.text);
}
