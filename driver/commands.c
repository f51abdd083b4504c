/* SPDX-License-Identifier: Apache-2.0 */
/* The table of control commands; help, checks and storage of values by that table; ERSATZ_CTRL. */
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "command_functions.h"
#include "error.h"
#include "steering.h"
#include "thresholds.h"

/* -------------------------------------------------------------------------------------------- the table */

#define NUMBER(from, to) .takes = TAKES_NUMBER, .least = (from), .most = (to)
#define CHOICE(...)                                                                                          \
    .takes = TAKES_CHOICE, .choices = (const char *const[])                                                  \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }
#define TEXT(what) .takes = TAKES_TEXT, .expected = (what)
#define SETS(value) .takes = TAKES_NOTHING, .sets = (value)
#define ANSWERS(what) .answers = ANSWERS_##what
#define BY_SOCKET .by_socket = true
#define STEERS(what) .by_socket = true, .steer = (what)
#define MAY_ANSWER(what) .answers = ANSWERS_##what, .answer_optional = true

#define PLACE(where, structure, field)                                                                       \
    .place = (where), .offset = offsetof(structure, field), .size = sizeof(((structure *)NULL)->field)
/* Such a value can be set before the card starts only, see card_set(). */
#define CARD(field) .when = BEFORE_START, PLACE(IN_CARD, struct card_settings, field)
#define POLICY(field) PLACE(IN_POLICY, struct card_policy, field)

/*
 * A door may number the commands in this order, so that new ones come last. Names and parameters are those of
 * Intel's QAT_Engine wherever it has the command, so that a program written for that engine drives this one
 * unchanged. docs/commands.md has a row for each command; a test compares the two.
 */
const struct command commands[] = {
    {"WORKERS", NUMBER(1, ERSATZ_WORKERS_MAX), CARD(workers), .initial_in_words = "one per core",
        .words = "Worker threads."},
    {"INSTANCES", NUMBER(1, ERSATZ_INSTANCES_MAX), CARD(instances), .initial_in_words = "one per core",
        .words = "Instances: pairs of a request ring and a response ring."},
    {"RING_DEPTH", NUMBER(1, ERSATZ_RING_DEPTH_MAX), .power_of_two = true, CARD(ring_depth),
        .initial_in_words = "512", .words = "Requests in flight in each instance."},
    {"PROFILE",
        TEXT("none, qat-c62x, qat-4xxx, network-hsm, usb-token, or the path of a file with a slash in it"),
        CARD(profile), .parse = parse_profile, STEERS(set_next_profile), .initial_in_words = "none",
        .words = "Model the timing and the shape of this card."},
    {"ENABLE_EXTERNAL_POLLING", SETS(true), CARD(external_polling),
        .words = "Run callbacks in the application's POLL alone, and not on threads of the card."},
    {"POLL", MAY_ANSWER(NUMBER), .when = WHEN_POLLED, .function = poll_card,
        .words =
            "Take completions off the response rings and run their callbacks. Answers 0, or -1 on failure."},
    {"ENABLE_SW_FALLBACK", SETS(true), POLICY(fallback), BY_SOCKET,
        .words = "Compute on the calling core whenever the card cannot."},
    {"OFFLOAD", CHOICE("card", "fastest"), POLICY(fastest), BY_SOCKET,
        .words = "Where the operations of jobs go: to the card, or to whichever of card and calling core "
                 "does them "
                 "sooner."},
    {"SYNC_OFFLOAD", NUMBER(0, 1), POLICY(sync_offload), BY_SOCKET,
        .words = "1: AES goes to the card outside a job too, and the thread waits."},
    {"SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD",
        TEXT("a list like AES-128-CBC:4096,AES-256-GCM:0, each from 0 to 16384 bytes"),
        .function = set_thresholds, .initial_in_words = "2048", BY_SOCKET,
        .words = "Only operations with more bytes go to the card, by cipher; with 0 all of them do."},
    {"SET_MAX_RETRY_COUNT", NUMBER(-1, 100000), POLICY(max_retries), .initial = -1, BY_SOCKET,
        .words = "How often a synchronous request tries again when its ring is full. -1: waits for room."},
    {"GET_NUM_OP_RETRIES", ANSWERS(NUMBER), .function = answer_retries, BY_SOCKET,
        .words = "How often a request found its ring full."},
    {"GET_NUM_REQUESTS_IN_FLIGHT", NUMBER(0, 6), ANSWERS(COUNTER), .function = answer_in_flight, BY_SOCKET,
        .words = "The live counter of requests in flight: 0 all, 1 asymmetric, 2 key derivation, 3 cipher. "
                 "That of "
                 "4, 5 and 6 stays 0."},
    {"GET_NUM_CRYPTO_INSTANCES", ANSWERS(NUMBER), .function = answer_instances,
        .words = "How many instances there are."},
    {"SET_INSTANCE_FOR_THREAD", NUMBER(0, LONG_MAX), .function = bind_thread,
        .words = "The calling thread submits to this instance, modulo their number. Starts the card."},
    {"ENABLE_EVENT_DRIVEN_POLLING_MODE", SETS(false), CARD(timed),
        .words = "Threads of the card take completions when they arrive, which is the default. With external "
                 "polling, GET_EXTERNAL_POLLING_FD works."},
    {"DISABLE_EVENT_DRIVEN_POLLING_MODE", SETS(true), CARD(timed),
        .words = "Threads of the card take completions at ticks of SET_INTERNAL_POLL_INTERVAL."},
    {"GET_EXTERNAL_POLLING_FD", NUMBER(0, ERSATZ_INSTANCES_MAX - 1), ANSWERS(NUMBER), .when = WHEN_POLLED,
        .function = answer_descriptor,
        .words =
            "The descriptor of this instance's response ring: readable while completions wait for POLL."},
    {"SET_INTERNAL_POLL_INTERVAL", NUMBER(1, 10000000), POLICY(polling.interval_ns), .initial = 10000,
        BY_SOCKET, .words = "Nanoseconds between ticks."},
    {"SET_EPOLL_TIMEOUT", NUMBER(1, 10000), POLICY(polling.timeout_ms), .initial_in_words = "no limit",
        BY_SOCKET, .words = "Milliseconds for which a reaper sleeps at most when no completion arrives."},
    {"ENABLE_INLINE_POLLING", SETS(true), POLICY(spin), BY_SOCKET,
        .words = "A thread that waits for RSA outside a job spins instead of sleeping."},
    {"ENABLE_HEURISTIC_POLLING", .when = WHEN_POLLED,
        .words =
            "The application polls by GET_NUM_REQUESTS_IN_FLIGHT. Changes nothing: the counters are always "
            "there."},
    {"HEARTBEAT_POLL", ANSWERS(NUMBER), .when = WHEN_POLLED, .function = answer_heartbeat,
        .words = "Whether the card works. Answers 0 if it does, else -1."},
    {"INIT_ENGINE", .function = start_card,
        .words = "Start the card now. In the child of a fork, start a card of its own."},
    {"INIT_AFTER_FORK", NUMBER(0, 1), POLICY(after_fork),
        .words =
            "1: where the card runs at a fork, the child starts its own within the fork, before a server can "
            "forbid itself threads. For servers that fork before they start threads."},
    {"STATS", MAY_ANSWER(TEXT), .function = answer_statistics, BY_SOCKET,
        .words = "Write the statistics as JSON: to the answer, else to standard output."},
    {"STATS_FILE", TEXT("the path of a file; %p in it is the process id"), .function = set_statistics_file,
        .initial_in_words = "none",
        .words = "Write the statistics to this file when the card stops or the process exits."},
    {"CHECK", NUMBER(0, 1), CARD(check), .function = measure_pause,
        .words = "1: watch what the application does with its jobs, and report mistakes at the end."},
    {"CHECK_LIMITS", TEXT("a list like answer=500,early=20"), CARD(check_limits), .parse = parse_check_limits,
        .initial_in_words = "answer=500,callback=10,early=10",
        .words =
            "What CHECK does not report yet: a signalled job left alone for so many milliseconds, a callback "
            "that takes so many, an operation that is resumed early so many times."},
    {"TRACE", TEXT("the path of a file, or record"), .when = BEFORE_START, STEERS(write_trace),
        .function = set_trace, .initial_in_words = "none",
        .words =
            "Write a timeline of the newest requests, for ui.perfetto.dev, to this file when the card stops, "
            "or leave it in the record."},
    {"RECORD", TEXT("the path of a directory"), .when = BEFORE_START, .function = keep_record,
        .initial_in_words = "none",
        .words =
            "Keep statistics, findings and timeline in a file of this directory. It outlives the process, "
            "however that ends."},
    {"HOLD", CHOICE("none", "compute", "signal"), .function = hold_requests, BY_SOCKET,
        .words =
            "For tests: hold requests before they are computed, or before their completion is signalled."},
    {"RELEASE", NUMBER(1, INT_MAX), .function = release_requests, BY_SOCKET,
        .words = "For tests: let so many held requests pass."},
    {"KERNELS", TEXT("auto, or a list like portable,ifma"), .function = choose_kernels,
        .initial_in_words = "auto", BY_SOCKET, .words = "Which code computes, from now on."},
    {"FAULTS", TEXT("none, or a list like ring_full=1%,late=5%:2ms,fail=#100"), CARD(faults),
        STEERS(replace_faults), .parse = parse_faults, .initial_in_words = "none",
        .words = "What the card does wrong, and to which requests."},
    {"SEED", NUMBER(0, LONG_MAX), CARD(seed), .initial = 1,
        .words = "The seed of everything random: faults and jitter."},
    {"MEMORY", CHOICE("copies", "direct"), POLICY(direct), BY_SOCKET,
        .words = "The card works on copies of texts, or directly on the application's memory, as hardware "
                 "does by DMA. Direct: a program that frees or changes a buffer in flight is really hurt."},
    {"CONTROL", TEXT("the path of a socket; %p in it is the process id"), .when = BEFORE_START,
        .function = set_control_socket, .initial_in_words = "none",
        .words = "Make a socket by which other programs steer the card while it runs: docs/control.md."},
    {"RESET", NUMBER(0, 3600000), .value_optional = true, .initial = 100, .initial_in_words = "100",
        .function = reset_card, BY_SOCKET,
        .words =
            "Reset the card, as the fault of that name does: requests that no worker has taken fail, and "
            "the card accepts none for so many milliseconds. Needs CONTROL or FAULTS."},
    {"GONE", .function = take_card_away, BY_SOCKET,
        .words = "Take the card away, as the fault of that name does. Needs CONTROL or FAULTS."},
    {"BACK", .function = bring_card_back, BY_SOCKET,
        .words = "Bring a card back that was reset, or is gone. Needs CONTROL or FAULTS."},
    {"FINDINGS", ANSWERS(TEXT), .function = answer_findings, BY_SOCKET,
        .words = "The findings so far, as JSON. Needs CHECK."},
    {"LATENCY", NUMBER(0, 1), CARD(latency),
        .words = "1: count how long operations take from submission to signal, for the statistics."},
    {"CRASHES", NUMBER(0, 1), .function = keep_crashes,
        .words = "1: leave the stack of a crash in the record. Only for signals that the application leaves "
                 "at their default action. Needs RECORD."},
    {.name = NULL},
};

const struct command *command_find(const char *name, struct ersatz_error *error)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    error_set(
        error, ERSATZ_BAD_CONFIG, "unknown command \"%.200s\"; docs/commands.md lists all of them", name);
    return NULL;
}

/* --------------------------------------------------------------------------------------------- in words */

#define VALUES_MAX 160 /* bytes of a text that says which values are allowed */

/* "card or fastest", "none, compute or signal". */
static void list_choices(const char *const *choices, char *out, size_t size)
{
    size_t used = 0;

    for (unsigned i = 0; choices[i] != NULL && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s",
            i == 0                   ? ""
            : choices[i + 1] == NULL ? " or "
                                     : ", ",
            choices[i]);
}

/* Which values the command takes, to follow "it must be" or "expected". Empty: none. */
static const char *values_of(const struct command *command, char out[VALUES_MAX])
{
    out[0] = '\0';
    if (command->takes == TAKES_TEXT)
        snprintf(out, VALUES_MAX, "%s", command->expected);
    else if (command->takes == TAKES_CHOICE)
        list_choices(command->choices, out, VALUES_MAX);
    else if (command->takes == TAKES_NUMBER && command->most == LONG_MAX)
        snprintf(out, VALUES_MAX, "%ld or more", command->least);
    else if (command->takes == TAKES_NUMBER)
        snprintf(out, VALUES_MAX, "%sfrom %ld to %ld", command->power_of_two ? "a power of two " : "",
            command->least, command->most);
    return out;
}

/* The default. NULL: the command has none. */
static const char *initial_of(const struct command *command, char *out, size_t size)
{
    if (command->initial_in_words != NULL)
        return command->initial_in_words;
    if (command->place == NOWHERE || command->takes == TAKES_NOTHING)
        return NULL;
    if (command->takes == TAKES_CHOICE)
        return command->choices[command->initial];
    snprintf(out, size, "%ld", command->initial);
    return out;
}

void command_describe(const struct command *command, char *out, size_t size)
{
    static const char *const when[] = {
        [ANY_TIME] = "",
        [BEFORE_START] = "before the card starts",
        [WHEN_POLLED] = "with ENABLE_EXTERNAL_POLLING",
    };
    char values[VALUES_MAX], number[24];
    const char *initial = initial_of(command, number, sizeof(number));
    const char *parts[] = {values_of(command, values), initial == NULL ? "" : initial, when[command->when]};
    const char *before[] = {"", "default: ", ""}, *separator = " [";
    size_t used = (size_t)snprintf(out, size, "%s", command->words);

    for (unsigned i = 0; i < 3 && used < size; i++) {
        if (parts[i][0] == '\0')
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s%s", separator, before[i], parts[i]);
        separator = "; ";
    }
    if (separator[0] == ';' && used < size)
        snprintf(out + used, size - used, "]");
}

/* ----------------------------------------------------------------------------------------------- values */

/* Operations may read the place at the same time. */
static void store_in_policy(const struct command *command, long value)
{
    void *place = (char *)card_policy() + command->offset;

    if (command->size == sizeof(_Atomic bool))
        atomic_store((_Atomic bool *)place, value != 0);
    else
        atomic_store((_Atomic int *)place, (int)value);
}

static enum ersatz_result store_in_card(const struct command *command, long value)
{
    bool flag = value != 0;
    unsigned number = (unsigned)value;
    uint64_t wide = (uint64_t)value;

    if (command->size == sizeof(flag))
        return card_set(command->offset, command->size, &flag);
    if (command->size == sizeof(number))
        return card_set(command->offset, command->size, &number);
    return card_set(command->offset, command->size, &wide);
}

static enum ersatz_result store(const struct command *command, long value)
{
    if (command->place == IN_CARD)
        return store_in_card(command, value);
    if (command->place == IN_POLICY)
        store_in_policy(command, value);
    return ERSATZ_OK;
}

static ersatz_control_run run_by_socket;

void commands_reset(void)
{
    steering_set_run(run_by_socket);
    card_reset_settings();
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (command->parse == NULL)
            (void)store(command, command->initial); /* no device runs: it cannot be too late */
    }
    thresholds_reset();
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
}

/* Parse the text and store the value. */
static bool store_text(const struct command *command, const struct command_call *call)
{
    union {
        struct ersatz_profile profile;
        struct ersatz_faults faults;
        struct ersatz_check_limits limits;
    } value;
    enum ersatz_result result;

    memset(&value, 0, sizeof(value));
    if (!command->parse(call, &value))
        return false;
    result = card_set(command->offset, command->size, &value);
    return result == ERSATZ_OK || error_set(call->error, result, "%s", call->name);
}

static bool store_number(const struct command *command, const struct command_call *call)
{
    enum ersatz_result result =
        store(command, command->takes == TAKES_NOTHING ? command->sets : call->number);

    return result == ERSATZ_OK || error_set(call->error, result, "%s", call->name);
}

/* ---------------------------------------------------------------------------------------- run a command */

/* Sets call->number from the text. */
static bool parse_number(const struct command *command, struct command_call *call)
{
    char values[VALUES_MAX], *end;

    errno = 0;
    call->number = strtol(call->text, &end, 10);
    return (errno == 0 && end != call->text && *end == '\0') ||
           error_set(call->error, ERSATZ_BAD_CONFIG, "%s is \"%.200s\"; expected a number, %s", call->name,
               call->text, values_of(command, values));
}

static bool check_number(const struct command *command, const struct command_call *call)
{
    long number = call->number;
    bool is_power = number > 0 && (number & (number - 1)) == 0;
    char values[VALUES_MAX];

    return (number >= command->least && number <= command->most && (is_power || !command->power_of_two)) ||
           error_set(call->error, ERSATZ_BAD_CONFIG, "%s is %ld; it must be %s", call->name, number,
               values_of(command, values));
}

/* Sets call->number to the index of the choice. */
static bool find_choice(const struct command *command, struct command_call *call)
{
    char values[VALUES_MAX];

    for (call->number = 0; command->choices[call->number] != NULL; call->number++) {
        if (strcmp(command->choices[call->number], call->text) == 0)
            return true;
    }
    return error_set(call->error, ERSATZ_BAD_CONFIG, "%s is \"%.200s\"; expected %s", call->name, call->text,
        values_of(command, values));
}

/* Whether the caller has given what the command needs, and a value that the table allows. Sets
 * call->number. */
static bool check_value(const struct command *command, struct command_call *call)
{
    if (command->answers != ANSWERS_NOTHING && call->answer == NULL && !command->answer_optional)
        return error_set(
            call->error, ERSATZ_BAD_CONFIG, "%s needs the address where its answer goes", call->name);
    if (call->text == NULL && (command->takes == TAKES_TEXT || command->takes == TAKES_CHOICE))
        return error_set(call->error, ERSATZ_BAD_CONFIG, "%s needs a text", call->name);
    if (command->when == WHEN_POLLED && !card_polls_externally())
        return error_set(call->error, ERSATZ_BAD_CONFIG,
            "%s needs ENABLE_EXTERNAL_POLLING; without it the card polls by itself", call->name);
    if (command->takes == TAKES_CHOICE)
        return find_choice(command, call);
    return command->takes != TAKES_NUMBER ||
           ((call->text == NULL || parse_number(command, call)) && check_number(command, call));
}

static bool run(const struct command *command, struct command_call *call)
{
    if (!check_value(command, call))
        return false;
    if (command->function != NULL && !command->function(call))
        return false;
    return command->parse != NULL ? store_text(command, call) : store_number(command, call);
}

bool command_run(const struct command *command, const char *text, long number, struct command_answer *answer,
    struct ersatz_error *error)
{
    struct command_call call = {command->name, text, number, answer, error, false};

    if (run(command, &call))
        return true;
    if (error->result == ERSATZ_TOO_LATE)
        error_set(error, ERSATZ_TOO_LATE,
            "%s must come before the first operation that goes to the card, and before INIT_ENGINE; later "
            "only the value in force may be repeated",
            command->name);
    return false;
}

/* Whether a text has a value exactly where the command takes one. */
static bool check_form(const struct command *command, const char *value, struct ersatz_error *error)
{
    char values[VALUES_MAX];

    if (value != NULL && command->takes == TAKES_NOTHING)
        return error_set(error, ERSATZ_BAD_CONFIG, "%s takes no value", command->name);
    if (value == NULL && command->takes != TAKES_NOTHING && command->answers == ANSWERS_NOTHING &&
        !command->value_optional)
        return error_set(error, ERSATZ_BAD_CONFIG, "%s takes a value: NAME:VALUE; expected %s", command->name,
            values_of(command, values));
    return true;
}

bool command_run_text(
    const char *name, const char *value, struct command_answer *answer, struct ersatz_error *error)
{
    const struct command *command = command_find(name, error);

    return command != NULL && check_form(command, value, error) &&
           command_run(command, value, command->value_optional ? command->initial : 0, answer, error);
}

/* ---------------------------------------------------------------------------------------- control socket */

static bool steer(
    const char *name, const char *value, struct command_answer *answer, struct ersatz_error *error)
{
    const struct command *command = command_find(name, error);
    struct command_call call = {name, value, 0, answer, error, true};

    if (command == NULL)
        return false;
    if (!command->by_socket)
        return error_set(error, ERSATZ_BAD_CONFIG,
            "%s cannot come by the control socket; docs/control.md lists the commands that can", name);
    if (command->value_optional)
        call.number = command->initial;
    if (!check_form(command, value, error))
        return false;
    return command->steer == NULL ? run(command, &call)
                                  : check_value(command, &call) && command->steer(&call);
}

static bool run_by_socket(const char *name, const char *value, FILE *answer, struct ersatz_error *error)
{
    struct command_answer given = {.given = false};
    bool ok = steer(name, value, &given, error);

    if (ok && given.text != NULL)
        fwrite(given.text, 1, given.len, answer);
    else if (ok && given.counter != NULL)
        fprintf(answer, "%d", atomic_load(given.counter));
    else if (ok && given.given)
        fprintf(answer, "%d", given.number);
    free(given.text);
    return ok;
}

/* ------------------------------------------------------------------------------------------ ERSATZ_CTRL */

bool commands_from_environment(struct ersatz_error *error)
{
    const char *text = secure_getenv("ERSATZ_CTRL");
    char *copy, *rest, *item;
    bool ok = true;

    if (text == NULL)
        return true;
    copy = rest = strdup(text);
    if (copy == NULL)
        return error_set(error, ERSATZ_NO_MEMORY, "ERSATZ_CTRL");
    while (ok && (item = strsep(&rest, ";")) != NULL) {
        char *value = strchr(item, ':');

        if (item[0] == '\0')
            continue; /* a semicolon at the end */
        if (value != NULL)
            *value++ = '\0';
        ok = command_run_text(item, value, NULL, error);
    }
    free(copy);
    return ok;
}
