/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands: their table, the way to what each does, and the environment variable that carries them.
 */
#include "commands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/error.h"
#include "refusal.h"

#define FLAG_NOTHING ENGINE_CMD_FLAG_NO_INPUT
#define FLAG_NUMBER                                                                                          \
    (ENGINE_CMD_FLAG_NUMERIC | ENGINE_CMD_FLAG_STRING) /* so that a wrong text gets here, too */
#define FLAG_STRING ENGINE_CMD_FLAG_STRING
#define FLAG_POINTER ENGINE_CMD_FLAG_NO_INPUT
#define FLAG_QUERY ENGINE_CMD_FLAG_NUMERIC

const ENGINE_CMD_DEFN command_definitions[] = {
#define DEFINITION_OF(name, takes, description) {COMMAND_##name, #name, description, FLAG_##takes},
    ERSATZ_COMMANDS(DEFINITION_OF)
#undef DEFINITION_OF
        {0, NULL, NULL, 0},
};

static const struct {
    command_handler *run;
    bool needs_p; /* a text, or the address of the answer */
} handlers[] = {
#define AT(name) [COMMAND_##name - ENGINE_CMD_BASE]
    AT(WORKERS) = {command_workers, false},
    AT(INSTANCES) = {command_instances, false},
    AT(RING_DEPTH) = {command_ring_depth, false},
    AT(PROFILE) = {command_profile, true},
    AT(ENABLE_EXTERNAL_POLLING) = {command_external_polling, false},
    AT(POLL) = {command_poll, false},
    AT(ENABLE_SW_FALLBACK) = {command_fallback, false},
    AT(OFFLOAD) = {command_offload, true},
    AT(SYNC_OFFLOAD) = {command_sync_offload, false},
    AT(SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD) = {command_thresholds, true},
    AT(SET_MAX_RETRY_COUNT) = {command_max_retries, false},
    AT(GET_NUM_OP_RETRIES) = {command_retries, true},
    AT(GET_NUM_REQUESTS_IN_FLIGHT) = {command_in_flight, true},
    AT(GET_NUM_CRYPTO_INSTANCES) = {command_count_instances, true},
    AT(SET_INSTANCE_FOR_THREAD) = {command_bind_thread, false},
    AT(ENABLE_EVENT_DRIVEN_POLLING_MODE) = {command_event_driven, false},
    AT(DISABLE_EVENT_DRIVEN_POLLING_MODE) = {command_event_driven, false},
    AT(GET_EXTERNAL_POLLING_FD) = {command_polling_fd, true},
    AT(SET_INTERNAL_POLL_INTERVAL) = {command_poll_interval, false},
    AT(SET_EPOLL_TIMEOUT) = {command_epoll_timeout, false},
    AT(ENABLE_INLINE_POLLING) = {command_inline_polling, false},
    AT(ENABLE_HEURISTIC_POLLING) = {command_heuristic_polling, false},
    AT(HEARTBEAT_POLL) = {command_heartbeat, true},
    AT(INIT_ENGINE) = {command_init, false},
    AT(INIT_AFTER_FORK) = {command_init_after_fork, false},
    AT(STATS) = {command_statistics, false},
    AT(STATS_FILE) = {command_stats_file, true},
    AT(CHECK) = {command_check, false},
    AT(CHECK_LIMITS) = {command_check_limits, true},
    AT(TRACE) = {command_trace, true},
    AT(RECORD) = {command_record, true},
    AT(HOLD) = {command_hold, true},
    AT(RELEASE) = {command_release, false},
    AT(KERNELS) = {command_kernels, true},
    AT(FAULTS) = {command_faults, true},
    AT(SEED) = {command_seed, false},
#undef AT
};

_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == COMMAND_AFTER_LAST - ENGINE_CMD_BASE,
    "every command has a handler");

const char *command_name(int command)
{
    return command_definitions[command - ENGINE_CMD_BASE].cmd_name;
}

int command_check_range(int command, long value, long min, long max)
{
    if (value >= min && value <= max)
        return 1;
    error_raise(
        REASON_BAD_COMMAND, "%s is %ld; it must be from %ld to %ld", command_name(command), value, min, max);
    return 0;
}

int command_too_late(int command)
{
    error_raise(REASON_TOO_LATE,
        "%s must come before the first operation that goes to the card, and before INIT_ENGINE; later only "
        "the value in force may be repeated",
        command_name(command));
    return 0;
}

/* A number that came as text. */
static int parse_number(int command, const char *text, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0')
        return 1;
    error_raise(REASON_BAD_COMMAND, "%s is \"%s\"; expected a number", command_name(command), text);
    return 0;
}

static int run(int command, long i, void *p)
{
    if (command <= COMMAND_BEFORE_FIRST || command >= COMMAND_AFTER_LAST) {
        error_raise(REASON_BAD_COMMAND, "unknown command %d", command);
        return 0;
    }
    if (p == NULL && handlers[command - ENGINE_CMD_BASE].needs_p) {
        error_raise(REASON_BAD_COMMAND,
            "%s needs a text, or the address where the answer goes: see ENGINE_ctrl_cmd(3)",
            command_name(command));
        return 0;
    }
    if (command_definitions[command - ENGINE_CMD_BASE].cmd_flags == FLAG_NUMBER && p != NULL &&
        !parse_number(command, p, &i))
        return 0;
    return handlers[command - ENGINE_CMD_BASE].run(command, i, p);
}

/* What the openssl command offers to every engine, and does not miss where there is no such command. */
static bool is_offered_to_all(int command, const char *name)
{
    return command == ENGINE_CTRL_GET_CMD_FROM_NAME && name != NULL &&
           strcmp(name, "SET_USER_INTERFACE") == 0;
}

int command_run(ENGINE *engine, int command, long i, void *p, void (*f)(void))
{
    bool is_question = command_is_question(command);
    int answer = is_question ? command_answer(command, i, p) : run(command, i, p);

    (void)engine;
    (void)f;
    if (answer < 0 || (answer == 0 && !is_question)) {
        if (!is_offered_to_all(command, p))
            refusal_say_command();
    } else if (command == ENGINE_CTRL_GET_CMD_FROM_NAME)
        refusal_expect(answer);
    if (!is_question)
        refusal_expect(0); /* here it is */
    return answer;
}

/* --------------------------------------------------------------------------------------------- environment
 */

static int run_text(const char *name, const char *value)
{
    const ENGINE_CMD_DEFN *command = command_find(name);
    bool takes_value = command != NULL && !(command->cmd_flags & ENGINE_CMD_FLAG_NO_INPUT);

    if (command == NULL)
        return 0;
    if (takes_value != (value != NULL)) {
        error_raise(
            REASON_BAD_COMMAND, "%s takes %s", name, takes_value ? "a value: NAME:VALUE" : "no value");
        return 0;
    }
    if (!(command->cmd_flags & ENGINE_CMD_FLAG_STRING))
        value = NULL; /* there p is where an answer goes, and nobody waits for one */
    return run((int)command->cmd_num, 0, (void *)value);
}

int commands_from_environment(void)
{
    const char *text = secure_getenv("ERSATZ_CTRL");
    char *copy, *rest, *item;
    int ok = 1;

    if (text == NULL)
        return 1;
    copy = rest = strdup(text);
    if (copy == NULL) {
        error_raise(REASON_NO_MEMORY, "ERSATZ_CTRL");
        return 0;
    }
    while (ok && (item = strsep(&rest, ";")) != NULL) {
        char *value = strchr(item, ':');

        if (item[0] == '\0')
            continue; /* a semicolon at the end */
        if (value != NULL)
            *value++ = '\0';
        ok = run_text(item, value);
    }
    free(copy);
    return ok;
}
