/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that the table of commands (commands.c) refers to. */
#ifndef ERSATZ_DRIVER_COMMAND_FUNCTIONS_H
#define ERSATZ_DRIVER_COMMAND_FUNCTIONS_H

#include "commands.h"

/* A command that is being run. */
struct command_call {
    const char *name;
    const char *text;              /* NULL where the command takes a number or nothing */
    long number;                   /* within the bounds of the table; of a choice its index */
    struct command_answer *answer; /* NULL: no place for it */
    struct ersatz_error *error;
    bool by_socket; /* it came by the control socket, on that thread */
};

/* Does what the command is for. False: *call->error is filled in; where the result is ERSATZ_TOO_LATE its
 * text is left to the caller. */
typedef bool command_function(const struct command_call *call);

/* Makes a value for struct card_settings of the text. False as above. */
typedef bool command_parser(const struct command_call *call, void *value);

/* command_texts.c */
command_parser parse_profile, parse_faults, parse_check_limits;
command_function set_thresholds, choose_kernels;

/* command_actions.c */
command_function poll_card, answer_retries, answer_in_flight, answer_instances, bind_thread,
    answer_descriptor, answer_heartbeat, start_card, answer_statistics, set_statistics_file, measure_pause,
    set_trace, keep_record, keep_crashes, hold_requests, release_requests;

/* Run use(device, arg), which runs none of the application's code, on the device, which stays meanwhile. The
 * device is started if need be, but not after the engine was given back, nor for the control socket. */
bool command_use_device(
    const struct command_call *call, void (*use)(struct ersatz_device *device, void *arg), void *arg);

/* command_steering.c */
command_function reset_card, take_card_away, bring_card_back, replace_faults, set_next_profile, write_trace,
    answer_findings, set_control_socket;

#endif
