/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an openssl.cnf that contains the user's and also loads the engine. It includes the user's file, and
 * then gives the section that openssl_conf names another list of engines, which contains the user's engines.
 * Everything else (providers, ssl_conf and so on) stays.
 */
#include <errno.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define ENGINE_ID "ersatz"
#define OWN "ersatz_run_" /* prefix of our own sections */

/* The path of the user's file, or NULL if there is none. The caller frees it. */
static char *users_file(void)
{
    char *name = CONF_get1_default_config_file(), *path;

    if (name == NULL)
        give_up("out of memory");
    path = realpath(name, NULL);
    if (path == NULL && getenv("OPENSSL_CONF") != NULL)
        fprintf(stderr, "ersatz-run: OPENSSL_CONF %s: %s; continuing without it, as OpenSSL does\n", name,
            strerror(errno));
    OPENSSL_free(name);
    return path;
}

static CONF *read_file(const char *path)
{
    CONF *conf = NCONF_new(NULL);
    long line = 0;

    if (conf == NULL)
        give_up("out of memory");
    if (path != NULL && NCONF_load(conf, path, &line) <= 0) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        give_up("%s, line %ld: %s", path, line, reason == NULL ? "cannot be read" : reason);
    }
    return conf;
}

/* NULL: there is no such value; that is not an error. */
static const char *find(const CONF *conf, const char *section, const char *name)
{
    const char *value;

    ERR_set_mark();
    value = NCONF_get_string(conf, section, name);
    ERR_pop_to_mark();
    return value;
}

/* Writes a value, and escapes the characters that have a meaning in the file. */
static void write_value(FILE *stream, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            fputs("\\n", stream);
            continue;
        }
        if (strchr("\\$#\"'`;", *value) != NULL)
            fputc('\\', stream);
        fputc(*value, stream);
    }
    fputc('\n', stream);
}

static void write_line(FILE *stream, const char *name, const char *value)
{
    fprintf(stream, "%s = ", name);
    write_value(stream, value);
}

/* The id of the engine that an entry in the list of engines loads, as libcrypto reads it. */
static const char *engine_of(const CONF *conf, const CONF_VALUE *entry)
{
    const char *dot = strchr(entry->name, '.'), *id = find(conf, entry->value, "engine_id");

    return id != NULL ? id : dot != NULL ? dot + 1 : entry->name;
}

/* True if a list NAME:VALUE;... contains the command that has this name in a configuration, where libcrypto
 * ignores everything up to a dot. */
static bool control_has(const char *control, const char *name)
{
    const char *dot = strchr(name, '.');
    size_t length;

    name = dot == NULL ? name : dot + 1;
    length = strlen(name);
    for (; control != NULL; control = strchr(control, ';')) {
        control += control[0] == ';';
        if (strncmp(control, name, length) == 0 && strchr(":;", control[length]) != NULL) /* or the end */
            return true;
    }
    return false;
}

/* Writes the section of our engine: our module, and the commands of the user's section if there is one. */
static void write_engine(
    FILE *stream, const CONF *conf, const char *users, const char *module, const char *control)
{
    STACK_OF(CONF_VALUE) *commands = users == NULL ? NULL : NCONF_get_section(conf, users);

    fprintf(stream, "\n[" OWN "engine]\n");
    write_line(stream, "engine_id", ENGINE_ID);
    write_line(stream, "dynamic_path", module);
    if (commands == NULL) {
        fputs("default_algorithms = ALL\ninit = 1\n", stream);
        return;
    }
    for (int i = 0; i < sk_CONF_VALUE_num(commands); i++) {
        const CONF_VALUE *command = sk_CONF_VALUE_value(commands, i);

        if (strcmp(command->name, "engine_id") != 0 && strcmp(command->name, "dynamic_path") != 0 &&
            !control_has(control, command->name))
            write_line(stream, command->name, command->value);
    }
}

/* Our engine comes first, so that it gets the algorithms unless another engine asks for them too. */
static void write_engines(
    FILE *stream, const CONF *conf, const char *list, const char *module, const char *control)
{
    STACK_OF(CONF_VALUE) *entries = list == NULL ? NULL : NCONF_get_section(conf, list);
    const char *users = NULL;

    fprintf(stream, "\n[" OWN "engines]\n" OWN "entry = " OWN "engine\n");
    for (int i = 0; entries != NULL && i < sk_CONF_VALUE_num(entries); i++) {
        const CONF_VALUE *entry = sk_CONF_VALUE_value(entries, i);

        if (strcmp(engine_of(conf, entry), ENGINE_ID) == 0)
            users = entry->value;
        else
            write_line(stream, entry->name, entry->value);
    }
    write_engine(stream, conf, users, module, control);
}

void config_write(FILE *stream, const char *module, const char *control)
{
    char *users = users_file();
    CONF *conf = read_file(users);
    const char *init = find(conf, NULL, "openssl_conf");
    const char *engines = init == NULL ? NULL : find(conf, init, "engines");

    fputs("# Made by ersatz-run: the user's configuration, and the engine.\n", stream);
    if (users != NULL)
        write_line(stream, ".include", users);
    fputs("\n[default]\n", stream);
    write_line(stream, "openssl_conf", init != NULL ? init : OWN "init");
    fprintf(stream, "\n[%s]\nengines = " OWN "engines\n", init != NULL ? init : OWN "init");
    write_engines(stream, conf, engines, module, control);
    NCONF_free(conf);
    free(users);
}
