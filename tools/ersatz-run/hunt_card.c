/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a card of the hunt as options of ersatz-run. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hunt.h"

/* The control command for each setting; NULL: it is an option of its own. */
static const char *const commands[] = {
    [SETTING_RING_DEPTH] = "RING_DEPTH:1",
    [SETTING_ONE_WORKER] = "WORKERS:1",
    [SETTING_FALLBACK] = "ENABLE_SW_FALLBACK",
    [SETTING_SLOW] = NULL,
};

#define SLOW_PROFILE "network-hsm"

/* A time with its unit. */
static void write_time(uint64_t ns, FILE *stream)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
    unsigned i = 0;

    while (ns % units[i].ns != 0)
        i++;
    fprintf(stream, "%" PRIu64 "%s", ns / units[i].ns, units[i].name);
}

/* A probability as a percentage, with the decimals that it needs. */
static void write_chance(uint64_t value, FILE *stream)
{
    const uint64_t one = ERSATZ_FAULT_CERTAIN / 100;
    char decimals[16];
    size_t length = 7;

    snprintf(decimals, sizeof(decimals), "%07" PRIu64, value % one);
    while (length > 0 && decimals[length - 1] == '0')
        length--;
    decimals[length] = '\0';
    fprintf(stream, "%" PRIu64 "%s%s%%", value / one, length > 0 ? "." : "", decimals);
}

static void write_rule(const struct ersatz_fault_rule *rule, FILE *stream)
{
    fprintf(stream, "%s=", ersatz_fault_name(rule->fault));
    if (rule->fault == ERSATZ_FAULT_BOOT) {
        write_time(rule->time_ns, stream);
        return;
    }
    if (rule->fault == ERSATZ_FAULT_SLOW)
        fputs(ersatz_request_name_text((enum ersatz_request_name)rule->value), stream);
    else if (rule->when == ERSATZ_WHEN_CHANCE)
        write_chance(rule->value, stream);
    else
        fprintf(stream, "%s%" PRIu64 "%s", rule->when == ERSATZ_WHEN_NUMBER ? "#" : "", rule->value,
            rule->when == ERSATZ_WHEN_FIRST ? "x" : "");
    if (rule->time_ns > 0) {
        fputc(':', stream);
        write_time(rule->time_ns, stream);
    }
}

char *card_faults(const struct card *card)
{
    char *made = NULL;
    size_t size;
    FILE *stream = open_memstream(&made, &size);

    if (stream == NULL)
        give_up("out of memory");
    for (unsigned i = 0; i < card->faults.count; i++) {
        fputs(i == 0 ? "" : ",", stream);
        write_rule(&card->faults.rules[i], stream);
    }
    if (fclose(stream) != 0)
        give_up("out of memory");
    return made;
}

/* The control commands of the user's and of the card; NULL: there are none. */
static char *control_of(const struct card *card, const char *users)
{
    char *made = users == NULL ? NULL : text("%s", users), *longer;

    for (enum setting setting = 0; setting < SETTINGS; setting++) {
        if ((card->settings & 1u << setting) == 0 || commands[setting] == NULL)
            continue;
        longer = text("%s%s%s", made == NULL ? "" : made, made == NULL ? "" : ";", commands[setting]);
        free(made);
        made = longer;
    }
    return made;
}

static bool is_slow(const struct card *card)
{
    return (card->settings & 1u << SETTING_SLOW) != 0;
}

void card_options(const struct card *card, const struct options *base, struct options *options)
{
    *options = *base;
    options->faults = card->faults.count == 0 ? NULL : card_faults(card);
    options->seed = text("%" PRIu64, card->seed);
    options->seed_chosen = false;
    options->control = control_of(card, base->control);
    if (is_slow(card))
        options->profile = options->profile_path = SLOW_PROFILE;
}

/* A word as a shell reads it. */
static void write_word(const char *word, FILE *stream)
{
    size_t plain = 0;

    while (isalnum((unsigned char)word[plain]) || (word[plain] != '\0' && strchr("-_./:=+,@%", word[plain])))
        plain++;
    if (word[plain] == '\0' && plain > 0) {
        fputs(word, stream);
        return;
    }
    fputc('\'', stream);
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            fputs("'\\''", stream);
        else
            fputc(*word, stream);
    }
    fputc('\'', stream);
}

static void write_option(const char *name, const char *value, FILE *stream)
{
    if (value == NULL)
        return;
    fprintf(stream, " --%s ", name);
    write_word(value, stream);
}

char *failure_line(const struct failure *failure, const struct hunt *hunt)
{
    char *made = NULL;
    size_t size;
    FILE *stream = open_memstream(&made, &size);
    struct options options;
    const struct options *base = &hunt->options.run;
    const double *allowed = hunt->baseline.growth_allowed;

    if (stream == NULL)
        give_up("out of memory");
    card_options(&failure->card, base, &options);
    write_word(strchr(program_invocation_name, '/') == NULL ? "ersatz-run" : program_invocation_name, stream);
    fprintf(stream, " --strict --round %.0f", hunt->baseline.limit);
    if (failure->broke.kind == BROKEN_GROWTH)
        fputs(" --growth", stream);
    if (failure->broke.kind == BROKEN_GROWTH && !failure->is_quiet && allowed[0] + allowed[1] > 0)
        fprintf(stream, "=%g:%g", allowed[0], allowed[1]);
    if (base->door != DOOR_AUTO)
        write_option("door", base->door == DOOR_ENGINE ? "engine" : "provider", stream);
    write_option("module", base->module, stream);
    write_option("profile", options.profile, stream);
    write_option("faults", options.faults, stream);
    write_option("seed", options.seed, stream);
    write_option("ctrl", options.control, stream);
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        write_option("allow", base->allowed[finding] ? ersatz_finding_name(finding) : NULL, stream);
    fputs(" --", stream);
    for (char **word = base->command; *word != NULL; word++) {
        fputc(' ', stream);
        write_word(*word, stream);
    }
    if (fclose(stream) != 0)
        give_up("out of memory");
    return made;
}

bool card_may_fail(const struct card *card)
{
    const unsigned failing = 1u << ERSATZ_FAULT_FAIL | 1u << ERSATZ_FAULT_RESET | 1u << ERSATZ_FAULT_GONE |
                             1u << ERSATZ_FAULT_HANG | 1u << ERSATZ_FAULT_CORRUPT;

    if ((card->settings & 1u << SETTING_FALLBACK) != 0)
        return false;
    for (unsigned i = 0; i < card->faults.count; i++) {
        if ((failing & 1u << card->faults.rules[i].fault) != 0)
            return true;
    }
    return false;
}
