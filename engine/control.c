/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ENGINE_ctrl(3): runs commands, and answers what ENGINE asks about their table. libcrypto would answer that
 * by itself (int_ctrl_helper), but then the engine would never hear of a name that is not in the table: a
 * mistake in a configuration file, which most programs keep to themselves.
 */
#include "control.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/commands.h"
#include "driver/error.h"
#include "driver/refusal.h"
#include "ersatz/output.h"

#define DESCRIPTION_MAX 512

/* ------------------------------------------------------------------------------------------ definitions */

static ENGINE_CMD_DEFN *definitions; /* numbered from ENGINE_CMD_BASE, in the order of the table */
static unsigned count;

/* The answer's type in a program, for the description: parameter p of ENGINE_ctrl_cmd(3). */
static const char *answer_type(const struct command *command)
{
    static const char *const types[] = {
        [ANSWERS_NOTHING] = "",
        [ANSWERS_NUMBER] = " (int *)",
        [ANSWERS_COUNTER] = " (int **)",
        [ANSWERS_TEXT] = " (BIO *)",
    };

    return types[command->answers];
}

static unsigned flags_of(const struct command *command)
{
    if (command->takes == TAKES_NOTHING)
        return ENGINE_CMD_FLAG_NO_INPUT;
    if (command->takes != TAKES_NUMBER)
        return ENGINE_CMD_FLAG_STRING;
    if (command->answers != ANSWERS_NOTHING) /* p is for the answer, and cannot be a text */
        return ENGINE_CMD_FLAG_NUMERIC;
    return ENGINE_CMD_FLAG_NUMERIC |
           ENGINE_CMD_FLAG_STRING; /* so that a text that is no number gets here, too */
}

static bool define(const struct command *command, ENGINE_CMD_DEFN *definition)
{
    char text[DESCRIPTION_MAX], *description;
    size_t used;

    command_describe(command, text, sizeof(text));
    used = strlen(text);
    snprintf(text + used, sizeof(text) - used, "%s", answer_type(command));
    description = strdup(text);
    if (description == NULL)
        return false;
    definition->cmd_num = (unsigned)(ENGINE_CMD_BASE + (command - commands));
    definition->cmd_name = command->name;
    definition->cmd_desc = description;
    definition->cmd_flags = flags_of(command);
    return true;
}

bool control_create(void)
{
    unsigned commands_in_table = 0;

    while (commands[commands_in_table].name != NULL)
        commands_in_table++;
    if (definitions == NULL)
        definitions = calloc(commands_in_table + 1, sizeof(*definitions)); /* and the end */
    while (definitions != NULL && count < commands_in_table && define(&commands[count], &definitions[count]))
        count++;
    if (count == commands_in_table)
        return true;
    error_raise_result(ERSATZ_NO_MEMORY);
    return false;
}

void control_destroy(void)
{
    while (count > 0)
        free((char *)definitions[--count].cmd_desc);
    free(definitions);
    definitions = NULL;
}

const ENGINE_CMD_DEFN *control_definitions(void)
{
    return definitions;
}

/* NULL: there is no command of that number, and an error is raised. */
static const struct command *command_of(long number)
{
    if (number >= ENGINE_CMD_BASE && number < ENGINE_CMD_BASE + (long)count)
        return &commands[number - ENGINE_CMD_BASE];
    error_raise(REASON_BAD_COMMAND, "unknown command %ld", number);
    return NULL;
}

/* --------------------------------------------------------------------------------- questions about them */

/* ENGINE_CTRL_GET_FIRST_CMD_TYPE to GET_CMD_FLAGS. */
static bool is_question(int number)
{
    return number >= ENGINE_CTRL_GET_FIRST_CMD_TYPE && number <= ENGINE_CTRL_GET_CMD_FLAGS;
}

static int find(const char *name)
{
    struct ersatz_error error;
    const struct command *command = command_find(name, &error);

    if (command != NULL)
        return (int)(ENGINE_CMD_BASE + (command - commands));
    error_raise_error(&error);
    return -1;
}

static int copy(const char *text, char *to)
{
    strcpy(to, text); /* the caller has asked for the length before */
    return (int)strlen(text);
}

static int describe(const ENGINE_CMD_DEFN *definition, int question, void *p)
{
    switch (question) {
    case ENGINE_CTRL_GET_NEXT_CMD_TYPE:
        return (int)definition[1].cmd_num; /* 0 after the last */
    case ENGINE_CTRL_GET_NAME_LEN_FROM_CMD:
        return (int)strlen(definition->cmd_name);
    case ENGINE_CTRL_GET_NAME_FROM_CMD:
        return copy(definition->cmd_name, p);
    case ENGINE_CTRL_GET_DESC_LEN_FROM_CMD:
        return (int)strlen(definition->cmd_desc);
    case ENGINE_CTRL_GET_DESC_FROM_CMD:
        return copy(definition->cmd_desc, p);
    default: /* ENGINE_CTRL_GET_CMD_FLAGS */
        return (int)definition->cmd_flags;
    }
}

/* Below 0, with an error raised: there is no such command. */
static int answer_question(int question, long i, void *p)
{
    bool needs_p = question == ENGINE_CTRL_GET_CMD_FROM_NAME || question == ENGINE_CTRL_GET_NAME_FROM_CMD ||
                   question == ENGINE_CTRL_GET_DESC_FROM_CMD;

    if (needs_p && p == NULL) {
        error_raise(REASON_BAD_COMMAND, "the address of a text is needed: see ENGINE_ctrl(3)");
        return -1;
    }
    if (question == ENGINE_CTRL_GET_FIRST_CMD_TYPE)
        return ENGINE_CMD_BASE;
    if (question == ENGINE_CTRL_GET_CMD_FROM_NAME)
        return find(p);
    return command_of(i) == NULL ? -1 : describe(&definitions[i - ENGINE_CMD_BASE], question, p);
}

/* ----------------------------------------------------------------------------------------- run commands */

/* Hand an answer to the program. */
static bool write_to_bio(BIO *bio, const struct command_answer *answer)
{
    struct ersatz_writing writing;
    bool ok;

    ersatz_writing_begin(&writing);
    ok = BIO_write(bio, answer->text, (int)answer->len) == (int)answer->len;
    ersatz_writing_end(&writing, !ok);
    if (!ok)
        error_raise(REASON_OPERATION, "the answer could not be written to the BIO");
    return ok;
}

static bool give_answer(const struct command *command, const struct command_answer *answer, void *p)
{
    if (!answer->given)
        return true;
    if (command->answers == ANSWERS_TEXT)
        return write_to_bio(p, answer);
    if (command->answers == ANSWERS_COUNTER)
        /* The interface is older than _Atomic; an aligned int is read whole on every machine we build for. */
        *(int **)p = (int *)answer->counter;
    else
        *(int *)p = answer->number;
    return true;
}

static bool run(int number, long i, void *p)
{
    const struct command *command = command_of(number);
    struct command_answer answer = {.given = false};
    struct ersatz_error error;
    bool answers, ok;

    if (command == NULL)
        return false;
    answers = command->answers != ANSWERS_NOTHING;
    ok = command_run(command, answers || command->takes == TAKES_NOTHING ? NULL : p, i,
        answers && p != NULL ? &answer : NULL, &error);
    if (!ok)
        error_raise_error(&error);
    ok = give_answer(command, &answer, p) && ok;
    free(answer.text);
    return ok;
}

/*
 * A command that a program has asked for by name, and not given yet. libcrypto may refuse it in between, for
 * a value that the command does not take or lacks, and the engine never hears of it. All that can be done is
 * to say so at the end, if the program never used the engine. Relaxed: it stands for itself.
 */
static const struct command *_Atomic expected;

void control_end(void)
{
    const struct command *command = atomic_exchange_explicit(&expected, NULL, memory_order_relaxed);

    if (command != NULL && !refusal_is_over())
        ersatz_say("was refused, and the program continued without this engine: %s had a wrong value or none",
            command->name);
}

/* Programs offer these to every engine, and do without them: the openssl program does so. By number, they are
 * those that OpenSSL defines for all engines: ENGINE_ctrl(3). */
static bool is_offered_to_all(int number, const char *name)
{
    if (number == ENGINE_CTRL_GET_CMD_FROM_NAME)
        return name != NULL && strcmp(name, "SET_USER_INTERFACE") == 0;
    return number >= ENGINE_CTRL_SET_LOGSTREAM && number <= ENGINE_CTRL_LOAD_SECTION;
}

int control(ENGINE *engine, int number, long i, void *p, void (*f)(void))
{
    bool asks = is_question(number);
    int answer = asks ? answer_question(number, i, p) : run(number, i, p);

    (void)engine;
    (void)f;
    if (answer < 0 || (answer == 0 && !asks)) {
        if (!is_offered_to_all(number, p))
            refusal_say_command();
    } else if (number == ENGINE_CTRL_GET_CMD_FROM_NAME) {
        atomic_store_explicit(&expected, &commands[answer - ENGINE_CMD_BASE], memory_order_relaxed);
    }
    if (!asks)
        atomic_store_explicit(&expected, NULL, memory_order_relaxed); /* it has come */
    return answer;
}
