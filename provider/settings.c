/* SPDX-License-Identifier: Apache-2.0 */
/* See settings.h. */
#include "settings.h"

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "choice.h"
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

bool settings_read_flag(const char *name, const char *value, bool *on)
{
    static const char *const yes[] = {"EMPTY", "1", "yes", "on", "true", NULL};
    static const char *const no[] = {"0", "no", "off", "false", NULL};

    *on = is_one_of(value, yes);
    if (*on || is_one_of(value, no))
        return true;
    error_raise(REASON_BAD_COMMAND, "%s = %s: expected yes or no", name, value);
    return false;
}

/* Run a command with the value of a line. One that takes nothing has a value in a file all the same. */
static bool run(const struct command *command, const char *value)
{
    struct ersatz_error error;
    bool on;

    if (command->takes == TAKES_NOTHING) {
        if (!settings_read_flag(command->name, value, &on))
            return false;
        if (!on)
            return true;
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

static bool get_settings(const struct configuration *configuration, OSSL_PARAM *params)
{
    OSSL_FUNC_core_get_params_fn *get =
        (OSSL_FUNC_core_get_params_fn *)provider_function(configuration->in, OSSL_FUNC_CORE_GET_PARAMS);

    return get != NULL && get(configuration->handle, params);
}

/* Whether libcrypto has this value for this name in the provider's section. */
static bool has_setting(const struct configuration *configuration, const char *name, const char *value)
{
    char *found = NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_ptr(name, &found, 0), OSSL_PARAM_construct_end()};

    return get_settings(configuration, params) && found != NULL && strcmp(found, value) == 0;
}

/* Whether libcrypto took a line NAME = VALUE for a sub-section, because the value is the name of a section.
 * It then has no value for NAME, but one for NAME.LINE, or, if that is a sub-section in turn, for
 * NAME.LINE.LINE, and so on. */
static bool is_sub_section(
    const struct configuration *configuration, const CONF *conf, const CONF_VALUE *line)
{
    char name[512];
    size_t len = (size_t)snprintf(name, sizeof(name), "%s", line->name);

    while (len < sizeof(name)) {
        STACK_OF(CONF_VALUE) *lines = NCONF_get_section(conf, line->value);

        if (sk_CONF_VALUE_num(lines) <= 0)
            return false;
        line = sk_CONF_VALUE_value(lines, 0);
        len += (size_t)snprintf(name + len, sizeof(name) - len, ".%s", line->name);
        if (len < sizeof(name) && has_setting(configuration, name, line->value))
            return true;
    }
    return false;
}

/* False, with an error raised: the line is one of the provider's section, and has no effect. */
static bool check_line(const struct configuration *configuration, const CONF *conf, const CONF_VALUE *line)
{
    /* The last three: it has values of its own for them, whatever is in the section. */
    static const char *const of_libcrypto[] = {"identity", "module", "activate", "soft_load",
        OSSL_PROV_PARAM_CORE_VERSION, OSSL_PROV_PARAM_CORE_PROV_NAME, OSSL_PROV_PARAM_CORE_MODULE_FILENAME,
        NULL};
    const char *dot = strchr(line->name, '.');
    struct ersatz_error error;

    if (is_one_of(dot == NULL ? line->name : dot + 1, of_libcrypto))
        return true;
    if (choice_is_named(line->name) || command_find(line->name, &error) != NULL) {
        if (!is_sub_section(configuration, conf, line))
            return true;
        error_raise(REASON_BAD_COMMAND,
            "%s = %s: the configuration has a section [%s], so OpenSSL takes this for a sub-section; rename "
            "that section",
            line->name, line->value, line->value);
        return false;
    }
    if (!has_setting(configuration, line->name, line->value))
        return true;
    error_raise_error(&error);
    return false;
}

/*
 * libcrypto hands out only the settings that it is asked for by name. To find the names that are misspelt,
 * read the file that libcrypto reads by default, and ask for every name in it. Only if libcrypto has the same
 * value for a name, it is one of the provider's section. So lines of other sections, or of a file that
 * was not read, do not count.
 */
static bool check_lines(const struct configuration *configuration)
{
    char *file = CONF_get1_default_config_file();
    CONF *conf = NCONF_new(NULL);
    STACK_OF(OPENSSL_CSTRING) *sections = NULL;
    struct stat status;
    bool ok = true;

    ERR_set_mark();
    /* A pipe cannot be read twice, and to open it again may block. */
    if (file != NULL && conf != NULL && stat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        NCONF_load(conf, file, NULL) > 0)
        sections = NCONF_get_section_names(conf);
    ERR_pop_to_mark();
    for (int i = 0; i < sk_OPENSSL_CSTRING_num(sections); i++) {
        STACK_OF(CONF_VALUE) *lines = NCONF_get_section(conf, sk_OPENSSL_CSTRING_value(sections, i));

        for (int j = 0; ok && j < sk_CONF_VALUE_num(lines); j++)
            ok = check_line(configuration, conf, sk_CONF_VALUE_value(lines, j));
    }
    sk_OPENSSL_CSTRING_free(sections);
    NCONF_free(conf);
    OPENSSL_free(file);
    return ok;
}

bool settings_configure(void *arg)
{
    const struct configuration *configuration = arg;
    const char *values[COMMANDS_MAX] = {NULL};
    OSSL_PARAM params[COMMANDS_MAX + 1];
    unsigned count = 0;

    for (; commands[count].name != NULL && count < COMMANDS_MAX; count++)
        params[count] =
            OSSL_PARAM_construct_utf8_ptr(commands[count].name, (char **)(uintptr_t)&values[count], 0);
    params[count] = OSSL_PARAM_construct_end();
    return !get_settings(configuration, params) ||
           (check_lines(configuration) && run_all(params, true) && run_all(params, false));
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
    struct command_answer answer = {.given = false};
    struct ersatz_error error;
    int done;

    snprintf(name, sizeof(name), "%.*s", (int)(colon == NULL ? strlen(text) : (size_t)(colon - text)), text);
    if (!command_run_text(name, colon == NULL ? NULL : colon + 1, &answer, &error)) {
        error_raise_error(&error);
        done = 0;
    } else {
        done = !answer.given || give(&answer, callback, arg);
    }
    free(answer.text);
    return done;
}
