/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an openssl.cnf that contains the user's and also loads the module. It includes the user's file, and
 * names another section for openssl_conf: a copy of the user's, in which the list of providers or of engines
 * is ours. That list contains the user's providers or engines, and the module first. Everything else
 * (ssl_conf and so on) stays.
 */
#include <errno.h>
#include <libgen.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

#define NAME "ersatz"
#define OWN "ersatz_run_" /* prefix of our own sections */
/* Prefix of our own entries in lists, which libcrypto ignores. The names are not given in the sections
 * (identity = default): in a provider's, it takes a value that is the name of a section for a sub-section. */
#define ENTRY "ersatz_run."

/* The path of the user's file, or NULL if there is none. The caller frees it. */
static char *users_file(void)
{
    char *name = CONF_get1_default_config_file(), *path;
    struct stat status;

    if (name == NULL)
        give_up("out of memory");
    if (stat(name, &status) == 0 && S_ISFIFO(status.st_mode))
        give_up("OPENSSL_CONF %s is a pipe, which can be read only once; expected a file", name);
    path = realpath(name, NULL);
    if (path == NULL && getenv("OPENSSL_CONF") != NULL && name[0] != '\0') /* empty: no file is wanted */
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

/* A list has lines NAME = SECTION. An engine or a provider has a section of such lines. */
static int lines_in(const CONF *conf, const char *section)
{
    STACK_OF(CONF_VALUE) *lines = section == NULL ? NULL : NCONF_get_section(conf, section);

    return lines == NULL ? 0 : sk_CONF_VALUE_num(lines);
}

static const CONF_VALUE *line_of(const CONF *conf, const char *section, int i)
{
    return sk_CONF_VALUE_value(NCONF_get_section(conf, section), i);
}

/* libcrypto ignores everything up to a dot in a name, */
static const char *without_prefix(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot == NULL ? name : dot + 1;
}

/* and what follows the last dot in the name of a module: "providers.2" is a second list of providers. */
static bool is_module(const CONF_VALUE *line, const char *module)
{
    const char *dot = strrchr(line->name, '.');
    size_t length = dot == NULL ? strlen(line->name) : (size_t)(dot - line->name);

    return strlen(module) == length && strncmp(line->name, module, length) == 0;
}

/* The value in the section of an engine or a provider. NULL: there is none. */
static const char *setting(const CONF *conf, const char *section, const char *name)
{
    const char *value = NULL;

    for (int i = 0; i < lines_in(conf, section); i++) {
        const CONF_VALUE *line = line_of(conf, section, i);

        if (strcmp(without_prefix(line->name), name) == 0)
            value = line->value;
    }
    return value;
}

/* True if an entry in a list is for ersatz: by the name of the entry, by the name that the section gives, or
 * by its file. */
static bool is_ours(const CONF *conf, const CONF_VALUE *entry, enum door door)
{
    bool provider = door == DOOR_PROVIDER;
    const char *name = setting(conf, entry->value, provider ? "identity" : "engine_id");
    const char *file = setting(conf, entry->value, provider ? "module" : "dynamic_path");
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    return strcmp(name != NULL ? name : without_prefix(entry->name), NAME) == 0 ||
           (file != NULL && strcmp(slash != NULL ? slash + 1 : file, NAME ".so") == 0);
}

const char *control_setting(const char *control, const char *name)
{
    size_t length = strlen(name);
    const char *value = NULL;

    for (; control != NULL; control = strchr(control, ';')) {
        control += control[0] == ';';
        if (strncmp(control, name, length) == 0 && strchr(":;", control[length]) != NULL) /* or the end */
            value = control + length + (control[length] == ':');
    }
    return value;
}

/* True if a provider's section activates it. */
static bool is_active(const CONF *conf, const char *section)
{
    static const char *const no[] = {"0", "no", "off", "false"};
    const char *value = setting(conf, section, "activate");

    for (unsigned i = 0; value != NULL && i < sizeof(no) / sizeof(no[0]); i++) {
        if (strcasecmp(value, no[i]) == 0)
            value = NULL;
    }
    return value != NULL;
}

/* What the user's configuration has in its lists of engines or of providers. */
struct found {
    bool list;        /* there is a list */
    bool active;      /* a provider that is not ours is activated */
    const char *ours; /* the section of ersatz, or NULL */
};

/* Looks at the user's lists; stream: writes the entries that are not ours, or NULL. */
static struct found read_lists(const CONF *conf, enum door door, FILE *stream)
{
    const char *init = find(conf, NULL, "openssl_conf"), *list;
    struct found found = {.list = false};

    for (int i = 0; i < lines_in(conf, init); i++) {
        list = line_of(conf, init, i)->value;
        if (!is_module(line_of(conf, init, i), door == DOOR_PROVIDER ? "providers" : "engines"))
            continue;
        found.list = true;
        for (int j = 0; j < lines_in(conf, list); j++) {
            const CONF_VALUE *entry = line_of(conf, list, j);

            if (is_ours(conf, entry, door)) {
                found.ours = entry->value;
            } else {
                found.active = found.active || is_active(conf, entry->value);
                if (stream != NULL)
                    write_line(stream, entry->name, entry->value);
            }
        }
    }
    return found;
}

/* Writes the section of our engine or provider: the module, and the settings of the user's section if there
 * is one. */
static void write_section(FILE *stream, const struct config *config, const char *users, const char *control)
{
    static const char *const own[] = {
        "identity", "module", "activate", "soft_load", "engine_id", "dynamic_path"};
    bool provider = config->door == DOOR_PROVIDER;

    fputs("\n[" OWN "section]\n", stream);
    write_line(stream, provider ? "module" : "dynamic_path", config->module);
    if (provider)
        fputs("activate = 1\n", stream);
    else if (users == NULL)
        fputs("default_algorithms = ALL\ninit = 1\n", stream);
    for (int i = 0; i < lines_in(config->users, users); i++) {
        const CONF_VALUE *line = line_of(config->users, users, i);
        const char *name = without_prefix(line->name);
        bool skipped = control_setting(control, name) != NULL;

        for (unsigned j = 0; j < sizeof(own) / sizeof(own[0]); j++)
            skipped = skipped || strcmp(name, own[j]) == 0;
        if (!skipped)
            write_line(stream, line->name, line->value);
    }
}

/* Writes a list: the entry of the module, if this is its door, and the user's other entries. */
static void write_list(FILE *stream, const struct config *config, enum door door)
{
    struct found found;

    fprintf(stream, "\n[" OWN "%ss]\n", door_name(door));
    if (door == config->door)
        fputs(ENTRY NAME " = " OWN "section\n", stream);
    found = read_lists(config->users, door, stream);
    /* OpenSSL loads its default provider by itself only if the configuration activates none. */
    if (door == DOOR_PROVIDER && config->door == door && !found.active)
        fputs(ENTRY "default = " OWN "default\n\n[" OWN "default]\nactivate = 1\n", stream);
}

/* True if this property query has a clause about this name. */
static bool queries(const char *query, const char *name)
{
    size_t length = strlen(name);

    for (; query != NULL; query = strchr(query, ',')) {
        query += strspn(query, ", \t?-");
        if (strncasecmp(query, name, length) == 0 &&
            (query[length] == '\0' || strchr("=!, \t", query[length])))
            return true;
    }
    return false;
}

/* The default properties of the program, which the caller frees: the user's, and the wish for ersatz if the
 * user's say nothing about it. A query may have one clause only about each name. */
static char *with_ours(const char *users)
{
    if (users == NULL || users[strspn(users, " \t")] == '\0')
        return text("?provider=" NAME);
    if (strstr(users, NAME) != NULL)
        return text("%s", users);
    return text(
        "%s,%s", users, queries(users, "provider") ? "?" NAME ".rsa,?" NAME ".aes" : "?provider=" NAME);
}

/* The user's default properties, or NULL. */
static const char *users_properties(const CONF *conf)
{
    const char *init = find(conf, NULL, "openssl_conf"), *properties = NULL;

    for (int i = 0; i < lines_in(conf, init); i++) {
        const CONF_VALUE *line = line_of(conf, init, i);

        if (is_module(line, "alg_section") && find(conf, line->value, "default_properties") != NULL)
            properties = find(conf, line->value, "default_properties");
    }
    return properties;
}

/* Writes a copy of the user's sections for algorithms, with our default properties. They come first if the
 * user has none: a line `fips_mode = yes` adds to the properties before it. */
static void write_algorithms(FILE *stream, const struct config *config)
{
    const char *init = find(config->users, NULL, "openssl_conf");

    fputs("\n[" OWN "algorithms]\n", stream);
    if (config->properties != NULL && users_properties(config->users) == NULL)
        write_line(stream, "default_properties", config->properties);
    for (int i = 0; i < lines_in(config->users, init); i++) {
        const CONF_VALUE *module = line_of(config->users, init, i);

        for (int j = 0; is_module(module, "alg_section") && j < lines_in(config->users, module->value); j++) {
            const CONF_VALUE *line = line_of(config->users, module->value, j);
            bool ours = strcmp(line->name, "default_properties") == 0 && config->properties != NULL;

            write_line(stream, line->name, ours ? config->properties : line->value);
        }
    }
}

/* Writes the section that openssl_conf names. Our lines come first, but for the list of engines: OpenSSL 4.0,
 * which has no engines, ends its reading there. The provider's default_algorithms adds to the properties
 * before it. */
static void write_init(FILE *stream, const struct config *config, bool providers, bool engines)
{
    const char *init = find(config->users, NULL, "openssl_conf");
    bool provider = config->door == DOOR_PROVIDER;

    fputs("\n[" OWN "init]\n", stream);
    if (provider)
        fputs("alg_section = " OWN "algorithms\n", stream);
    if (providers)
        fputs("providers = " OWN "providers\n", stream);
    for (int i = 0; i < lines_in(config->users, init); i++) {
        const CONF_VALUE *line = line_of(config->users, init, i);

        if (!is_module(line, "providers") && !is_module(line, "engines") &&
            !(provider && is_module(line, "alg_section")))
            write_line(stream, line->name, line->value);
    }
    if (engines)
        fputs("engines = " OWN "engines\n", stream);
}

void config_read(struct config *config, const char *module)
{
    *config = (struct config){.module = module, .file = users_file()};
    config->users = read_file(config->file);
}

bool config_has(const struct config *config, enum door door)
{
    return read_lists(config->users, door, NULL).ours != NULL;
}

const char *config_setting(const struct config *config, const char *command)
{
    const char *users = read_lists(config->users, config->door, NULL).ours;

    return users == NULL ? NULL : setting(config->users, users, command);
}

bool config_sets(const struct config *config, const char *command)
{
    return config_setting(config, command) != NULL;
}

void config_set_door(struct config *config, enum door door)
{
    config->door = door;
    if (door == DOOR_PROVIDER && !config_sets(config, "default_algorithms"))
        config->properties = with_ours(users_properties(config->users));
}

void config_write(FILE *stream, const struct config *config, const char *control)
{
    struct found of_providers = read_lists(config->users, DOOR_PROVIDER, NULL);
    struct found of_engines = read_lists(config->users, DOOR_ENGINE, NULL);
    bool provider = config->door == DOOR_PROVIDER;
    bool providers = provider || of_providers.list, engines = !provider || of_engines.list;

#ifdef OPENSSL_NO_ENGINE
    engines = false;
#endif
    fprintf(stream, "# Made by ersatz-run: the user's configuration, and the %s.\n", door_name(config->door));
    if (config->file != NULL)
        write_line(stream, ".include", config->file);
    fputs("\n[default]\nopenssl_conf = " OWN "init\n", stream);
    write_init(stream, config, providers, engines);
    if (providers)
        write_list(stream, config, DOOR_PROVIDER);
    if (engines)
        write_list(stream, config, DOOR_ENGINE);
    if (provider)
        write_algorithms(stream, config);
    write_section(stream, config, provider ? of_providers.ours : of_engines.ours, control);
}

void config_free(struct config *config)
{
    NCONF_free(config->users);
    free(config->file);
    free(config->properties);
}
