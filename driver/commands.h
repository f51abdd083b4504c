/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control commands, which every door offers under the same names. One table (commands.c) says of each
 * what it takes, which values are allowed, where the value goes, when the command may come, and what it is
 * for. A door finds a command by its name, runs it with a text or a number, and reports the error.
 *
 * Any thread may call these functions at any time, but for commands_reset() and commands_from_environment().
 */
#ifndef ERSATZ_DRIVER_COMMANDS_H
#define ERSATZ_DRIVER_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "ersatz/device.h"

enum command_takes {
    TAKES_NOTHING,
    TAKES_NUMBER, /* or a decimal number in text */
    TAKES_CHOICE, /* a text, one of a few */
    TAKES_TEXT,
};

enum command_answers {
    ANSWERS_NOTHING,
    ANSWERS_NUMBER,
    ANSWERS_COUNTER,
    ANSWERS_TEXT,
};

struct command_answer {
    bool given; /* a failed command may give one too */
    int number;
    _Atomic int *counter; /* to read only; counts as long as the module is loaded */
    char *text;           /* the caller's to free(3) */
    size_t len;
};

enum command_when { ANY_TIME, BEFORE_START, WHEN_POLLED /* after ENABLE_EXTERNAL_POLLING */ };

enum command_place { NOWHERE, IN_CARD /* struct card_settings */, IN_POLICY /* struct card_policy */ };

struct command_call;

/* A row of the table. All but the first three members are for commands.c. */
struct command {
    const char *name;
    enum command_takes takes;
    enum command_answers answers;
    bool answer_optional;
    enum command_when when;
    const char *words; /* what it is for: sentences */

    long least, most; /* of a number */
    bool power_of_two;
    const char *const *choices;   /* ended by NULL */
    const char *expected;         /* what a text must be, in words */
    long initial;                 /* the default of a number or a choice with a place, */
    const char *initial_in_words; /* and how the help says it, where it does not say the number */

    enum command_place place; /* where the value goes, */
    size_t offset, size;
    long sets; /* and for a command that takes nothing, the value */

    /* Either may be NULL. A parser is for a text with a place. A function comes before the value is
     * stored. */
    bool (*parse)(const struct command_call *call, void *value);
    bool (*function)(const struct command_call *call);

    bool value_optional; /* of a number: without it, `initial` */
    /* Whether the command may come by the control socket; and what it does then, in place of the above,
     * unless that is NULL. */
    bool by_socket;
    bool (*steer)(const struct command_call *call);
};

/* Ended by a row whose name is NULL. */
extern const struct command commands[];

/* The command of this name. NULL: there is none, and *error says so. */
const struct command *command_find(const char *name, struct ersatz_error *error);

/* One line of help: what the command is for, and in brackets what it takes, the default, and when it may
 * come, as far as they apply: "Worker threads. [from 1 to 1024; default: one per core; before the card
 * starts]". */
void command_describe(const struct command *command, char *out, size_t size);

/*
 * Run a command. text: its value; NULL where the command takes nothing, or a number that is in `number`.
 * answer: zeroed; NULL: the caller has no place for it, which POLL and STATS allow (STATS then writes to
 * standard output). POLL runs callbacks of the application.
 *
 * False: *error names the command, the value, and what was expected. Its result is ERSATZ_BAD_CONFIG for a
 * wrong value, ERSATZ_TOO_LATE, or the result of the card.
 */
bool command_run(const struct command *command, const char *text, long number, struct command_answer *answer,
    struct ersatz_error *error);

/* Run the command of this name as a text gives it, NAME:VALUE or NAME. value: NULL where there is no colon;
 * the number of a command that answers is 0 then. A value that is missing or not expected is an error, as
 * above. */
bool command_run_text(
    const char *name, const char *value, struct command_answer *answer, struct ersatz_error *error);

/* Run the commands in the environment variable ERSATZ_CTRL, "NAME:VALUE;NAME;...". False: *error is about the
 * first one that is wrong; those before it have been run. Not while another thread uses the module. */
bool commands_from_environment(struct ersatz_error *error);

/* Set everything that commands set back to its default. Not while a device runs. */
void commands_reset(void);

#endif
