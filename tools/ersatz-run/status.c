/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the exit status, and explains it. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "crash.h"
#include "totals.h"

static bool ended_well(const struct ending *ending)
{
    if (WIFEXITED(ending->status))
        return WEXITSTATUS(ending->status) == 0;
    /* A server in CI ends like this: the signal is sent to ersatz-run. */
    return (ending->passed_on & UINT64_C(1) << WTERMSIG(ending->status)) != 0;
}

static bool is_bad(const struct options *options, const struct totals *totals, enum ersatz_finding finding)
{
    return totals->by_finding[finding] > 0 && !options->allowed[finding];
}

/* One of the program's processes, whose crash the program's own status may not show. NULL: none. */
static const char *bad_end(const struct outcome *outcome)
{
    if (crash_doubt(outcome->ending, outcome->records) == CRASH_IN_CALLBACK)
        return "a process ended in a callback";
    return crash_find(outcome->records, 0) != NULL ? "a process crashed" : NULL;
}

static bool grows(const struct outcome *outcome)
{
    return outcome->growths[0] != NULL || outcome->growths[1] != NULL;
}

int status_of(const struct outcome *outcome, const struct totals *totals)
{
    int status = outcome->ending->status;
    bool mistakes = bad_end(outcome) != NULL || grows(outcome);

    if (outcome->ending->too_long)
        return EXIT_TOO_LONG;
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        mistakes = mistakes || is_bad(outcome->options, totals, finding);
    if (!outcome->options->strict || !ended_well(outcome->ending))
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (mistakes)
        return EXIT_FINDINGS;
    if (outcome->records->trouble_count > 0)
        return EXIT_TROUBLE;
    if (!totals->jobs)
        return EXIT_NO_JOB;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 0;
}

bool status_is_our_own(const struct outcome *outcome, int status)
{
    return outcome->options->strict && ended_well(outcome->ending) &&
           (status == EXIT_FINDINGS || status == EXIT_TROUBLE || status == EXIT_NO_JOB);
}

void status_explain(const struct outcome *outcome, const struct totals *totals, int status, FILE *stream)
{
    int ended = outcome->ending->status;
    const char *between = "";

    fprintf(stream, "status %d: ", status);
    if (!status_is_our_own(outcome, status)) {
        fprintf(stream, "%s ", outcome->options->command[0]);
        if (outcome->ending->too_long)
            fputs("did not end within --round", stream);
        else if (WIFSIGNALED(ended))
            fprintf(stream, "was ended by signal %d (%s)", WTERMSIG(ended), strsignal(WTERMSIG(ended)));
        else
            fprintf(stream, "exited with this status");
    } else if (status == EXIT_FINDINGS) {
        fputs("--strict, and mistakes were found: ", stream);
        for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
            if (!is_bad(outcome->options, totals, finding))
                continue;
            fprintf(stream, "%s%s", between, ersatz_finding_name(finding));
            between = ", ";
        }
        if (bad_end(outcome) != NULL) {
            fprintf(stream, "%s%s", between, bad_end(outcome));
            between = ", ";
        }
        if (grows(outcome))
            fprintf(stream, "%sit grows", between);
    } else if (status == EXIT_NO_JOB) {
        fputs("--strict, and no job used the card: nothing asynchronous was tested", stream);
    } else {
        fputs("--strict, and not all records could be read: mistakes may be missing", stream);
    }
}
