/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a program a card: its control commands, a trial of them, and the run. */
#include <stdlib.h>

#include "run.h"

/* The control commands that the options stand for. records: the directory of records; NULL: without commands
 * that make files, for a trial. */
static char *control_of_options(const struct options *options, const char *records)
{
    char *control = text("%s", ""), *shorter;
    const struct {
        const char *command, *value;
    } all[] = {
        {"RECORD", records},
        {"CRASHES", records != NULL ? "1" : NULL},
        {"TRACE", records != NULL && !options->no_trace ? "record" : NULL},
        {"SEED", options->seed_chosen ? NULL : options->seed},
        {"PROFILE", options->profile_path},
        {"FAULTS", options->faults},
        {"CHECK", options->check ? "1" : NULL},
        {"CONTROL", options->socket},
    };

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].value == NULL)
            continue;
        shorter = control;
        control = text("%s%s:%s;", shorter, all[i].command, all[i].value);
        free(shorter);
    }
    shorter = control;
    control = text("%s%s", shorter, options->control == NULL ? "" : options->control);
    free(shorter);
    return control;
}

/* All control commands. The user's own commands come before the options', so that options win; a seed that we
 * chose comes first, so that both win over it. A seed in the user's configuration wins over it, too. */
static char *control_commands(const struct options *options, const struct config *config, const char *records)
{
    const char *users = getenv("ERSATZ_CTRL");
    char *own = control_of_options(options, records), *control;
    bool seed = options->seed_chosen && !config_sets(config, "SEED");

    control =
        text("%s%s;%s;%s", seed ? "SEED:" : "", seed ? options->seed : "", users == NULL ? "" : users, own);
    free(own);
    return control;
}

/* Makes the place, and loads the module without the program's configuration and with it. */
static void try_module(
    const struct options *options, const struct config *config, struct place *place, struct sources *sources)
{
    char *control = control_commands(options, config, NULL), *own = control_of_options(options, "");
    const char *environment[] = {
        "OPENSSL_CONF", NULL, "OPENSSL_ENGINES", NULL, "OPENSSL_MODULES", NULL, "ERSATZ_CTRL", control, NULL};

    module_try(config->module, config->door, control);
    place_make(place, config, own);
    environment[1] = place->config;
    environment[3] = place->engines;
    environment[5] = place->modules;
    module_try_config(config, environment, sources);
    free(control);
    free(own);
}

char *card_prepare(const struct options *options, struct config *config, struct libcryptos *libcryptos,
    struct place *place, struct sources *sources)
{
    char *module = module_find(options->module);

    config_read(config, module);
    libcryptos_find(libcryptos, options->command[0], module);
    config_set_door(config, door_choose(options->door, libcryptos, config));
    try_module(options, config, place, sources);
    return module;
}

struct ending card_run(const struct options *options, const struct config *config, const struct place *place,
    const struct child_bounds *bounds)
{
    char *control = control_commands(options, config, place->records);
    const char *environment[] = {"OPENSSL_CONF", place->config, "OPENSSL_ENGINES", place->engines,
        "OPENSSL_MODULES", place->modules, "ERSATZ_CTRL", control, NULL};
    struct ending ending = child_run(options->command, environment, place->records, bounds);

    free(control);
    return ending;
}

void card_place(const struct options *options, const struct config *config, struct place *place)
{
    char *own = control_of_options(options, "");

    place_make(place, config, own);
    free(own);
}
