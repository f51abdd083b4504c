/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of faults: their names, the text that they are read from, and which requests they strike. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/units.h"
#include "ersatz/faults.h"
#include "fault_draw.h"

#define MS UINT64_C(1000000)
#define TIME_MAX (3600000 * MS)
#define BURST_MAX 4096u
#define NUMBER_MAX UINT64_C(999999999999999999)
#define LIST_MAX 512u

/* The name of each fault, and its time where the rule gives none. */
static const struct {
    const char *name;
    uint64_t time_ns;
    bool takes_time;
    const char *text;
} faults_known[ERSATZ_FAULTS] = {
    [ERSATZ_FAULT_RING_FULL] = {"ring_full", 0, true, "the request finds its ring full, once or for TIME"},
    [ERSATZ_FAULT_LATE] = {"late", 1 * MS, true, "its completion comes TIME later"},
    [ERSATZ_FAULT_REORDER] = {"reorder", 1 * MS, true,
        "its completion waits until others have overtaken it, at most for TIME"},
    [ERSATZ_FAULT_BURST] = {"burst", 1 * MS, true,
        "completions come COUNT at once, or when the first of them has waited for TIME"},
    [ERSATZ_FAULT_SPURIOUS] = {"spurious", 1 * MS, true,
        "its descriptor is readable at once, and its completion comes TIME later"},
    [ERSATZ_FAULT_FAIL] = {"fail", 0, false, "its operation fails"},
    [ERSATZ_FAULT_CORRUPT] = {"corrupt", 0, false, "its result is wrong"},
    [ERSATZ_FAULT_RESET] = {"reset", 100 * MS, true,
        "the card resets: this request and all in flight fail, and the card accepts nothing for TIME"},
    [ERSATZ_FAULT_GONE] = {"gone", 0, false,
        "the card is gone: this request, all in flight and all later ones fail"},
    [ERSATZ_FAULT_HANG] = {"hang", 0, true,
        "it does not complete until the card is reset, gone or stopped, or it fails after TIME"},
    [ERSATZ_FAULT_SLOW] = {"slow", 20 * MS, true, "each operation of this KIND completes TIME later"},
    [ERSATZ_FAULT_BOOT] = {"boot", 0, true,
        "the card is up TIME after it was started; what is submitted before completes then"},
    [ERSATZ_FAULT_FORK] = {"fork", 100 * MS, true,
        "it completes while the program forks, or when it has waited for TIME"},
    [ERSATZ_FAULT_EARLY] = {"early", 100 * MS, true,
        "its descriptor is readable at once; it completes after its job was resumed early, or after TIME"},
    [ERSATZ_FAULT_READY] = {"ready", 10 * MS, true,
        "its job pauses when it is complete and signalled, or after TIME"},
};

const char ersatz_faults_grammar[] =
    "FAULTS is \"none\", or a list with commas of NAME=WHEN or NAME=WHEN:TIME.\n"
    "NAME: ring_full late reorder spurious fail corrupt reset gone hang fork early ready.\n"
    "WHEN: 5% or 0.01% (each request, with that probability), 3x (the first three), #100 (the hundredth).\n"
    "TIME: 50us, 2ms, 1s; for all but fail, corrupt, gone.\n"
    "And burst=COUNT or burst=COUNT:TIME; slow=KIND or slow=KIND:TIME, KIND being rsa_priv, aes_gcm, ...; "
    "boot=TIME.";

const char *ersatz_fault_name(enum ersatz_fault fault)
{
    return faults_known[fault].name;
}

const char *ersatz_fault_text(enum ersatz_fault fault)
{
    return faults_known[fault].text;
}

/* -------------------------------------------------------------------------------------------------- parse */

struct reader {
    const char *start;
    const char *at;
    size_t *offset;
    struct ersatz_error *error;
};

__attribute__((format(printf, 3, 4))) static bool wrong(
    struct reader *reader, const char *at, const char *format, ...)
{
    va_list args;

    *reader->offset = (size_t)(at - reader->start);
    reader->error->result = ERSATZ_BAD_CONFIG;
    va_start(args, format);
    vsnprintf(reader->error->text, sizeof(reader->error->text), format, args);
    va_end(args);
    return false;
}

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " \t");
}

/* An optional character. */
static bool take(struct reader *reader, char c)
{
    if (*reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool read_number(struct reader *reader, const char *expected, uint64_t *number)
{
    const char *end = units_whole(reader->at, NUMBER_MAX, number);

    if (units_digits(reader->at) == 0)
        return wrong(reader, reader->at, "expected %s", expected);
    if (end == NULL)
        return wrong(reader, reader->at, "expected a number of at most 18 digits");
    reader->at = end;
    return true;
}

/* An optional word, of which the text has so many characters. */
static bool take_word(struct reader *reader, size_t len, const char *word)
{
    if (strlen(word) != len || strncmp(word, reader->at, len) != 0)
        return false;
    reader->at += len;
    return true;
}

/* Add the i-th of count words, from 0, to a list like "fail, corrupt or hang". */
static void add_word(char list[LIST_MAX], const char *word, unsigned i, unsigned count)
{
    size_t used = strlen(list);
    const char *before = i == 0 ? "" : i == count - 1 ? " or " : ", ";

    snprintf(list + used, LIST_MAX - used, "%s%s", before, word);
}

static bool read_name(struct reader *reader, enum ersatz_fault *fault)
{
    size_t len = strspn(reader->at, "abcdefghijklmnopqrstuvwxyz_");
    char names[LIST_MAX] = "";

    for (*fault = 0; *fault < ERSATZ_FAULTS; (*fault)++) {
        if (take_word(reader, len, faults_known[*fault].name))
            return true;
        add_word(names, faults_known[*fault].name, *fault, ERSATZ_FAULTS);
    }
    return wrong(reader, reader->at, "expected a fault: %s", names);
}

/* Read a percentage that begins at `begin`; its whole part has been read. */
static bool read_chance(struct reader *reader, const char *begin, struct ersatz_fault_rule *rule)
{
    bool has_decimals = take(reader, '.');
    size_t decimals = has_decimals ? units_digits(reader->at) : 0;
    const char *end = units_decimal(begin, ERSATZ_FAULT_CERTAIN / 100, ERSATZ_FAULT_CERTAIN, &rule->value);

    rule->when = ERSATZ_WHEN_CHANCE;
    if (end == NULL)
        return wrong(reader, begin, "a probability is at most 100%%");
    if (has_decimals && (decimals == 0 || decimals > 7))
        return wrong(reader, reader->at, "expected one to seven decimals of a percentage");
    reader->at = end;
    if (!take(reader, '%'))
        return wrong(reader, reader->at, "expected %% after a probability, or x after a count");
    return rule->value > 0 || wrong(reader, begin, "a probability is more than 0%% and at most 100%%");
}

static bool read_when(struct reader *reader, struct ersatz_fault_rule *rule)
{
    const char *begin = reader->at;
    bool is_number = take(reader, '#');

    if (!read_number(reader,
            is_number ? "the number of a request, 1 or more"
                      : "when it strikes: 5%, 3x or #100 (in openssl.cnf, # needs the whole value in quotes)",
            &rule->value))
        return false;
    if (!is_number && *reader->at != 'x')
        return read_chance(reader, begin, rule);
    rule->when = is_number ? ERSATZ_WHEN_NUMBER : ERSATZ_WHEN_FIRST;
    if (!is_number)
        reader->at++;
    return rule->value > 0 || wrong(reader, begin, "requests are counted from 1");
}

static bool read_time(struct reader *reader, uint64_t *time_ns)
{
    const char *begin = reader->at, *end;
    uint64_t number, unit_ps;

    if (!read_number(reader, "a time: 50us, 2ms, 1s", &number))
        return false;
    end = units_time(reader->at, &unit_ps);
    if (end == NULL)
        return wrong(reader, reader->at, "expected the unit of a time: ns, us, ms or s");
    if (number == 0 || number > TIME_MAX / (unit_ps / UNITS_PS_PER_NS))
        return wrong(reader, begin, "a time is more than 0 and at most an hour");
    reader->at = end;
    *time_ns = number * (unit_ps / UNITS_PS_PER_NS);
    return true;
}

static bool read_burst(struct reader *reader, struct ersatz_fault_rule *rule)
{
    const char *begin = reader->at;

    if (!read_number(reader, "how many completions come at once", &rule->value))
        return false;
    if (rule->value < 2 || rule->value > BURST_MAX)
        return wrong(reader, begin, "a burst has 2 to %u completions", BURST_MAX);
    return true;
}

static bool read_kind(struct reader *reader, struct ersatz_fault_rule *rule)
{
    size_t len = strspn(reader->at, "abcdefghijklmnopqrstuvwxyz_0123456789");
    char names[LIST_MAX] = "";

    for (enum ersatz_request_name name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (take_word(reader, len, ersatz_request_name_text(name))) {
            rule->value = name;
            return true;
        }
        add_word(names, ersatz_request_name_text(name), name, ERSATZ_REQUEST_NAMES);
    }
    return wrong(reader, reader->at, "expected the kind of operation: %s", names);
}

/* What stands after the = of a fault that strikes always, up to its :TIME. For boot that is its time. */
static bool read_always(
    struct reader *reader, const struct ersatz_faults *faults, struct ersatz_fault_rule *rule)
{
    const char *begin = reader->at;

    rule->when = ERSATZ_WHEN_ALWAYS;
    if (rule->fault == ERSATZ_FAULT_SLOW && !read_kind(reader, rule))
        return false;
    for (unsigned i = 0; i < faults->count; i++) {
        if (faults->rules[i].fault != rule->fault)
            continue;
        if (rule->fault != ERSATZ_FAULT_SLOW)
            return wrong(reader, begin, "%s can be given only once", ersatz_fault_name(rule->fault));
        if (faults->rules[i].value == rule->value)
            return wrong(reader, begin, "slow can be given only once for each kind of operation");
    }
    if (rule->fault == ERSATZ_FAULT_BOOT)
        return read_time(reader, &rule->time_ns);
    return rule->fault == ERSATZ_FAULT_SLOW || read_burst(reader, rule);
}

static bool is_always(enum ersatz_fault fault)
{
    return fault == ERSATZ_FAULT_BURST || fault == ERSATZ_FAULT_SLOW || fault == ERSATZ_FAULT_BOOT;
}

/* An optional time after a colon, or the default. */
static bool read_time_of(struct reader *reader, struct ersatz_fault_rule *rule)
{
    if (rule->fault == ERSATZ_FAULT_BOOT)
        return true; /* it was read */
    rule->time_ns = faults_known[rule->fault].time_ns;
    if (*reader->at == ':' && !faults_known[rule->fault].takes_time)
        return wrong(reader, reader->at, "%s cannot have a time", ersatz_fault_name(rule->fault));
    return !take(reader, ':') || read_time(reader, &rule->time_ns);
}

static bool read_rule(struct reader *reader, struct ersatz_faults *faults)
{
    struct ersatz_fault_rule rule = {0};

    if (faults->count == ERSATZ_FAULT_RULES_MAX)
        return wrong(reader, reader->at, "there are more than %u faults", ERSATZ_FAULT_RULES_MAX);
    if (!read_name(reader, &rule.fault))
        return false;
    if (!take(reader, '='))
        return wrong(reader, reader->at, "expected = after the fault");
    if (is_always(rule.fault) ? !read_always(reader, faults, &rule) : !read_when(reader, &rule))
        return false;
    if (!read_time_of(reader, &rule))
        return false;
    faults->rules[faults->count++] = rule;
    return true;
}

static bool read_list(struct reader *reader, struct ersatz_faults *faults)
{
    do {
        skip_blanks(reader);
        if (!read_rule(reader, faults))
            return false;
        skip_blanks(reader);
    } while (take(reader, ','));
    return *reader->at == '\0' || wrong(reader, reader->at, "expected a comma, or the end");
}

enum ersatz_result ersatz_faults_parse(
    const char *text, struct ersatz_faults *faults, size_t *offset, struct ersatz_error *error)
{
    struct reader reader = {.start = text, .at = text, .offset = offset, .error = error};

    memset(faults, 0, sizeof(*faults));
    if (strcmp(text, "none") == 0)
        return ERSATZ_OK;
    return read_list(&reader, faults) ? ERSATZ_OK : ERSATZ_BAD_CONFIG;
}

/* --------------------------------------------------------------------------------------------------- draw */

uint64_t fault_draw(uint64_t seed, uint64_t number, enum ersatz_fault fault, unsigned which)
{
    /* A sequence of its own for each seed, one in it for each request, and one in that for each draw. */
    uint64_t of_request = random_nth(random_nth(seed, 1), number);

    return random_nth(of_request + ((uint64_t)fault << 8 | which), 1);
}

static bool strikes(const struct ersatz_fault_rule *rule, uint64_t seed, uint64_t number, unsigned which)
{
    switch (rule->when) {
    case ERSATZ_WHEN_FIRST:
        return number <= rule->value;
    case ERSATZ_WHEN_NUMBER:
        return number == rule->value;
    case ERSATZ_WHEN_CHANCE: {
        /* The upper half of the product is a number below ERSATZ_FAULT_CERTAIN, each as likely. */
        __extension__ unsigned __int128 scaled = fault_draw(seed, number, rule->fault, which);

        return (uint64_t)(scaled * ERSATZ_FAULT_CERTAIN >> 64) < rule->value;
    }
    default:
        return true;
    }
}

const struct ersatz_fault_rule *ersatz_fault_strikes(
    const struct ersatz_faults *faults, uint64_t seed, uint64_t number, enum ersatz_fault fault)
{
    unsigned which = 0; /* of the rules for this fault: each has draws of its own, wherever it stands */

    for (unsigned i = 0; i < faults->count; i++) {
        if (faults->rules[i].fault == fault && strikes(&faults->rules[i], seed, number, which++))
            return &faults->rules[i];
    }
    return NULL;
}

const struct ersatz_fault_rule *ersatz_fault_slows(
    const struct ersatz_faults *faults, enum ersatz_request_name name)
{
    for (unsigned i = 0; i < faults->count; i++) {
        if (faults->rules[i].fault == ERSATZ_FAULT_SLOW && faults->rules[i].value == name)
            return &faults->rules[i];
    }
    return NULL;
}
