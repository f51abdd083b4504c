/* SPDX-License-Identifier: Apache-2.0 */
/* See settings.h. */
#include "settings.h"

#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "driver/commands.h"
#include "driver/error.h"
#include "ersatz/control.h"
#include "provider.h"

#define COMMANDS_MAX 96u

/* --------------------------------------------------------------------------------------- configuration */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcasecmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* Run a command with the value of a line. One that takes nothing has a value in a file all the same. */
static bool run(const struct command *command, const char *value)
{
    static const char *const yes[] = {"EMPTY", "1", "yes", "on", "true", NULL};
    static const char *const no[] = {"0", "no", "off", "false", NULL};
    struct ersatz_error error;

    if (command->takes == TAKES_NOTHING) {
        if (is_one_of(value, no))
            return true;
        if (!is_one_of(value, yes)) {
            error_raise(REASON_BAD_COMMAND, "%s = %s: expected yes or no", command->name, value);
            return false;
        }
        value = NULL;
    }
    if (command_run(command, value, 0, NULL, &error))
        return true;
    error_raise_error(&error);
    return false;
}

/* Those that may come only before the card starts go first, since others start it. */
static bool run_all(const OSSL_PARAM *params, bool before_start)
{
    for (unsigned i = 0; params[i].key != NULL; i++) {
        const char *value = *(const char **)params[i].data;

        if (value != NULL && (commands[i].when == BEFORE_START) == before_start && !run(&commands[i], value))
            return false;
    }
    return true;
}

bool settings_configure(void *arg)
{
    const struct configuration *configuration = arg;
    OSSL_FUNC_core_get_params_fn *get =
        (OSSL_FUNC_core_get_params_fn *)provider_function(configuration->in, OSSL_FUNC_CORE_GET_PARAMS);
    const char *values[COMMANDS_MAX] = {NULL};
    OSSL_PARAM params[COMMANDS_MAX + 1];
    unsigned count = 0;

    for (; commands[count].name != NULL && count < COMMANDS_MAX; count++)
        params[count] =
            OSSL_PARAM_construct_utf8_ptr(commands[count].name, (char **)(uintptr_t)&values[count], 0);
    params[count] = OSSL_PARAM_construct_end();
    return get == NULL || !get(configuration->handle, params) ||
           (run_all(params, true) && run_all(params, false));
}

/* --------------------------------------------------------------------------------------- while it runs */

bool settings_are_asked(const char *capability)
{
    return strncmp(capability, ERSATZ_CONTROL, strlen(ERSATZ_CONTROL)) == 0;
}

static int give(const struct command_answer *answer, OSSL_CALLBACK *callback, void *arg)
{
    int64_t number = answer->counter != NULL ? atomic_load(answer->counter) : answer->number;
    OSSL_PARAM params[3];
    unsigned count = 0;

    params[count++] = OSSL_PARAM_construct_int64(ERSATZ_CONTROL_NUMBER, &number);
    if (answer->text != NULL)
        params[count++] = OSSL_PARAM_construct_utf8_string(ERSATZ_CONTROL_TEXT, answer->text, answer->len);
    params[count] = OSSL_PARAM_construct_end();
    return callback == NULL || callback(params, arg);
}

int settings_run(const char *capability, OSSL_CALLBACK *callback, void *arg)
{
    const char *text = capability + strlen(ERSATZ_CONTROL), *colon = strchr(text, ':');
    char name[64];
    const struct command *command;
    struct command_answer answer = {.given = false};
    struct ersatz_error error;
    int done;

    snprintf(name, sizeof(name), "%.*s", (int)(colon == NULL ? strlen(text) : (size_t)(colon - text)), text);
    command = command_find(name, &error);
    if (command == NULL || !command_run(command, colon == NULL ? NULL : colon + 1, 0, &answer, &error)) {
        error_raise_error(&error);
        done = 0;
    } else {
        done = !answer.given || give(&answer, callback, arg);
    }
    free(answer.text);
    return done;
}
