/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ENGINE asks about the table of commands. libcrypto would answer by itself (int_ctrl_helper), but of a
 * name that is not in the table the engine would then never hear: a mistake in a configuration file, which
 * most programs keep to themselves.
 */
#include <stdbool.h>
#include <string.h>

#include "command_handlers.h"
#include "commands.h"
#include "driver/error.h"

const ENGINE_CMD_DEFN *command_find(const char *name)
{
    for (const ENGINE_CMD_DEFN *command = command_definitions; command->cmd_name != NULL; command++) {
        if (strcmp(command->cmd_name, name) == 0)
            return command;
    }
    error_raise(REASON_BAD_COMMAND,
        "unknown command \"%s\"; openssl engine -vv with the name or path of this module lists all", name);
    return NULL;
}

bool command_is_question(int command)
{
    return command >= ENGINE_CTRL_GET_FIRST_CMD_TYPE && command <= ENGINE_CTRL_GET_CMD_FLAGS;
}

static int copy(const char *text, char *to)
{
    strcpy(to, text); /* the caller has asked for the length before */
    return (int)strlen(text);
}

static int tell_of(const ENGINE_CMD_DEFN *command, int question, void *p)
{
    switch (question) {
    case ENGINE_CTRL_GET_NEXT_CMD_TYPE:
        return (int)command[1].cmd_num; /* 0 after the last */
    case ENGINE_CTRL_GET_NAME_LEN_FROM_CMD:
        return (int)strlen(command->cmd_name);
    case ENGINE_CTRL_GET_NAME_FROM_CMD:
        return copy(command->cmd_name, p);
    case ENGINE_CTRL_GET_DESC_LEN_FROM_CMD:
        return (int)strlen(command->cmd_desc);
    case ENGINE_CTRL_GET_DESC_FROM_CMD:
        return copy(command->cmd_desc, p);
    default: /* ENGINE_CTRL_GET_CMD_FLAGS */
        return (int)command->cmd_flags;
    }
}

int command_answer(int question, long i, void *p)
{
    const ENGINE_CMD_DEFN *command;
    bool needs_p = question == ENGINE_CTRL_GET_CMD_FROM_NAME || question == ENGINE_CTRL_GET_NAME_FROM_CMD ||
                   question == ENGINE_CTRL_GET_DESC_FROM_CMD;

    if (needs_p && p == NULL) {
        error_raise(REASON_BAD_COMMAND, "the address of a text is needed: see ENGINE_ctrl(3)");
        return -1;
    }
    if (question == ENGINE_CTRL_GET_FIRST_CMD_TYPE)
        return COMMAND_BEFORE_FIRST + 1;
    if (question == ENGINE_CTRL_GET_CMD_FROM_NAME) {
        command = command_find(p);
        return command == NULL ? -1 : (int)command->cmd_num;
    }
    if (i <= COMMAND_BEFORE_FIRST || i >= COMMAND_AFTER_LAST) {
        error_raise(REASON_BAD_COMMAND, "unknown command %ld", i);
        return -1;
    }
    return tell_of(&command_definitions[i - ENGINE_CMD_BASE], question, p);
}
