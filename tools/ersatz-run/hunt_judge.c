/* SPDX-License-Identifier: Apache-2.0 */
/* Decides whether a round is broken, and how. */
#include <string.h>
#include <sys/wait.h>

#include "crash.h"
#include "hunt.h"
#include "totals.h"

/* NULL: breaks of this kind do not count, or there are too many. */
static struct broke *add(
    struct round_result *result, const struct hunt_options *options, enum broken kind, int detail)
{
    struct broke *broke = &result->broke[result->breaks];

    if (!options->counts[kind] || result->breaks == BREAKS_MAX)
        return NULL;
    result->breaks++;
    *broke = (struct broke){.kind = kind, .detail = detail};
    return broke;
}

/* Crashes by one signal are told apart by the place. */
static void add_crash(struct round_result *result, const struct hunt_options *options, int signal,
    const struct records *records)
{
    const struct ersatz_crash *crash = crash_find(records, signal);
    struct broke *broke = add(result, options, BROKEN_SIGNAL, signal);

    if (broke != NULL && crash != NULL)
        broke->place = crash->place;
}

/* Whether a process crashed or was killed. *signal: by which signal; 0: it ended in a callback, and its
 * parent alone knows whether by a signal. */
static bool has_crashed(const struct ending *ending, const struct records *records, int *signal)
{
    *signal = crash_signal(ending);
    if (*signal == 0 && WIFSIGNALED(ending->status))
        *signal = WTERMSIG(ending->status);
    if (*signal == 0)
        *signal = ending->crashed;
    if (*signal == 0 && crash_find(records, 0) != NULL)
        *signal = crash_find(records, 0)->signal;
    return *signal != 0 || crash_doubt(ending, records) == CRASH_IN_CALLBACK;
}

/* A command that says that all is well must have done its work, even if operations have failed. */
static bool is_other_output(const struct round_result *result, const struct baseline *baseline)
{
    return memcmp(result->output, baseline->output, sizeof(result->output)) != 0;
}

/* In each kind of growth, faster than is allowed. */
static void add_growth(
    struct round_result *result, const struct hunt_options *options, const struct baseline *baseline)
{
    for (enum growth_kind kind = 0; kind < GROWTHS; kind++) {
        const struct grown *grown = &result->grown[kind];
        bool grows = grown->rate > (baseline == NULL ? 0 : baseline->growth_allowed[kind]);
        struct broke *broke = grows ? add(result, options, BROKEN_GROWTH, (int)kind) : NULL;

        if (broke != NULL)
            growth_describe(kind, grown, broke->at, sizeof(broke->at));
    }
}

void judge(struct round_result *result, const struct hunt_options *options, const struct baseline *baseline,
    const struct card *card, const struct ending *ending, const struct records *records,
    const struct totals *totals)
{
    bool excused = card_may_fail(card) && !options->strict_status;
    int signal;

    /* After a crash, it may have waited in vain. */
    if (ending->too_long && crash_find(records, 0) != NULL)
        add_crash(result, options, crash_find(records, 0)->signal, records);
    else if (ending->too_long)
        add(result, options, BROKEN_TIME, 0);
    else if (has_crashed(ending, records, &signal))
        add_crash(result, options, signal, records);
    else if (baseline != NULL && ending->status != baseline->status && !excused)
        add(result, options, BROKEN_STATUS, WEXITSTATUS(ending->status));
    else if (baseline != NULL && ending->status == baseline->status && is_other_output(result, baseline))
        add(result, options, BROKEN_OUTPUT, 0);
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        if (totals->by_finding[finding] > 0 && !options->run.allowed[finding])
            add(result, options, BROKEN_FINDING, (int)finding);
    }
    add_growth(result, options, baseline);
}

bool broke_is_same(const struct broke *a, const struct broke *b)
{
    return a->kind == b->kind && a->detail == b->detail && a->place == b->place;
}

/* The line of a stack with this number, from the last part of its path on. */
static void copy_line(const char *stack, unsigned number, char *to, size_t size)
{
    size_t length, path;

    for (; number > 0 && strchr(stack, '\n') != NULL; number--)
        stack = strchr(stack, '\n') + 1;
    length = strcspn(stack, "\n");
    path = strcspn(stack, " \n");
    while (path > 0 && stack[path - 1] != '/')
        path--;
    snprintf(to, size, "%.*s", (int)(length - path), stack + path);
}

void judge_name_crash(struct round_result *result, const struct records *records)
{
    for (unsigned i = 0; i < result->breaks; i++) {
        struct broke *broke = &result->broke[i];
        const struct ersatz_crash *crash =
            broke->kind == BROKEN_SIGNAL ? crash_find(records, broke->detail) : NULL;

        if (crash == NULL)
            continue;
        snprintf(result->stack, sizeof(result->stack), "%s", crash->stack);
        if (broke->place != 0)
            copy_line(crash->stack, crash->line, broke->at, sizeof(broke->at));
    }
}

char *broke_text(const struct broke *broke, double limit)
{
    switch (broke->kind) {
    case BROKEN_STATUS:
        return text("ended with status %d", broke->detail);
    case BROKEN_SIGNAL:
        if (broke->detail == 0)
            return text("a process ended while a callback ran, by a signal or by _exit(2)");
        return text("crashed by signal %d (%s)%s%s", broke->detail, strsignal(broke->detail),
            broke->at[0] == '\0' ? "" : " at ", broke->at);
    case BROKEN_TIME:
        return text("did not end within %.0f s", limit);
    case BROKEN_FINDING:
        return text("%s: %s", ersatz_finding_name((enum ersatz_finding)broke->detail),
            ersatz_finding_description((enum ersatz_finding)broke->detail));
    case BROKEN_GROWTH:
        return growth_text((enum growth_kind)broke->detail, broke->at);
    default:
        return text("its output differs");
    }
}
