/* SPDX-License-Identifier: Apache-2.0 */
/* What each control command does, and what they share. */
#ifndef ERSATZ_ENGINE_COMMAND_HANDLERS_H
#define ERSATZ_ENGINE_COMMAND_HANDLERS_H

#include <openssl/engine.h>
#include <stdbool.h>

#include "ersatz/commands.h"
#include "ersatz/device.h"

/* Their numbers, ENGINE_CMD_BASE and on, in the order of ERSATZ_COMMANDS. */
enum command_number {
    COMMAND_BEFORE_FIRST = ENGINE_CMD_BASE - 1,
#define NUMBER_OF(name, takes, description) COMMAND_##name,
    ERSATZ_COMMANDS(NUMBER_OF)
#undef NUMBER_OF
        COMMAND_AFTER_LAST
};

/* i and p as ENGINE_ctrl(3) has them; p is not NULL where the command takes a text or gives an answer. 1, or
 * 0 with an error raised. */
typedef int command_handler(int command, long i, void *p);

/* command_settings.c */
command_handler command_workers, command_instances, command_ring_depth, command_external_polling,
    command_fallback, command_offload, command_sync_offload, command_thresholds, command_max_retries,
    command_kernels;

/* command_polling.c */
command_handler command_poll, command_event_driven, command_poll_interval, command_epoll_timeout,
    command_inline_polling, command_heuristic_polling, command_polling_fd, command_heartbeat;

/* command_profile.c */
command_handler command_profile;

/* command_device.c */
command_handler command_bind_thread, command_init, command_init_after_fork, command_hold, command_release;

/* command_check.c */
command_handler command_check, command_check_limits;

/* command_record.c */
command_handler command_stats_file, command_trace, command_record;

/* command_faults.c */
command_handler command_faults, command_seed;

/* command_answers.c */
command_handler command_retries, command_in_flight, command_count_instances, command_statistics;

/* command_table.c. What ENGINE asks about commands: ENGINE_CTRL_GET_FIRST_CMD_TYPE to GET_CMD_FLAGS. The
 * answer is below 0, with an error raised, where there is no such command. */
bool command_is_question(int command);
int command_answer(int question, long i, void *p);

/* The command of that name. NULL: there is none, and an error is raised. */
const ENGINE_CMD_DEFN *command_find(const char *name);

/* Shared: each raises the error it speaks of. */
const char *command_name(int command);
int command_check_range(int command, long value, long min, long max);
int command_too_late(int command); /* always 0 */

/* Run use(device, i, p), which runs none of the application's code, on the device; it stays meanwhile. It is
 * started if need be, but not after the engine was given back, unless anew: then 0, as where it does not
 * start. */
int command_with_device(
    int command, bool anew, void (*use)(struct ersatz_device *device, long i, void *p), long i, void *p);

#endif
