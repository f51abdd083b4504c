/* SPDX-License-Identifier: Apache-2.0 */
/* Reports processes that crashed, or ended in a callback. */
#include "crash.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "ersatz/output.h"
#include "tree.h"

/* Signals that Linux sends because of a program's mistake, or that the program sends to itself: abort(3),
 * assert(3), sanitizers. */
static const int by_mistake[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

static bool is_by_mistake(int signal)
{
    for (unsigned i = 0; i < sizeof(by_mistake) / sizeof(by_mistake[0]); i++) {
        if (signal == by_mistake[i])
            return true;
    }
    return false;
}

int crash_signal(const struct ending *ending)
{
    /* A shell exits like this if its program crashed. */
    int signal = WIFSIGNALED(ending->status) ? WTERMSIG(ending->status) : WEXITSTATUS(ending->status) - 128;

    return is_by_mistake(signal) ? signal : 0;
}

const struct ersatz_crash *crash_recorded(const struct ersatz_record *record)
{
    const struct ersatz_crash *crash = &record->crash;
    uint32_t state = atomic_load_explicit(&crash->state, memory_order_relaxed);

    return state != ERSATZ_CRASH_NONE && is_by_mistake(crash->signal) ? crash : NULL;
}

const struct ersatz_crash *crash_find(const struct records *records, int signal)
{
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_crash *crash = crash_recorded(records->of[i]);

        if (crash != NULL && (signal == 0 || crash->signal == signal))
            return crash;
    }
    return NULL;
}

/* True if the process ended by exit(3). */
static bool has_ended(const struct ersatz_record *record)
{
    return atomic_load_explicit(&record->head.state, memory_order_relaxed) == ERSATZ_RECORD_ENDED;
}

static bool has_work(const struct ersatz_record *record)
{
    return atomic_load_explicit(&record->findings.watched, memory_order_relaxed) > 0;
}

unsigned crash_running(const struct ersatz_record *record)
{
    return has_ended(record) ? 0 : ersatz_findings_running(&record->findings);
}

/* How the process has ended, which we know of the one that we started, and of those that became our
 * children. */
static bool ending_of(const struct ersatz_record *record, const struct ending *first, struct ending *ending)
{
    *ending = *first;
    if (record->head.pid == first->pid)
        return true;
    ending->pid = (pid_t)record->head.pid;
    return tree_has_ended(ending->pid, &ending->status);
}

/* Callbacks that ran when the process ended matter, unless somebody ended it by a signal, as we may have. */
static bool ended_in_callback(const struct ending *first, const struct ersatz_record *record)
{
    struct ending ending;
    bool was_ended =
        ending_of(record, first, &ending) && WIFSIGNALED(ending.status) && crash_signal(&ending) == 0;

    return !was_ended && crash_running(record) > 0;
}

/* True if the process ended by a signal or by _exit(2), and we cannot know which. */
static bool ended_unseen(const struct ending *first, const struct ersatz_record *record)
{
    struct ending ending;

    return !has_ended(record) && !ending_of(record, first, &ending) && has_work(record);
}

enum crash_doubt crash_doubt(const struct ending *ending, const struct records *records)
{
    enum crash_doubt doubt = CRASH_NONE;

    if (crash_signal(ending) != 0)
        return CRASH_SIGNAL;
    for (unsigned i = 0; i < records->count; i++) {
        if (ended_in_callback(ending, records->of[i]))
            return CRASH_IN_CALLBACK;
        if (ended_unseen(ending, records->of[i]))
            doubt = CRASH_UNSEEN;
    }
    return crash_find(records, 0) != NULL ? CRASH_SIGNAL : doubt;
}

static void write_stack(const struct ersatz_crash *crash, FILE *stream)
{
    if (crash->stack[0] == '\0')
        return;
    fprintf(stream, "    stack of the thread that crashed, %" PRId32 ":\n", crash->thread);
    for (const char *line = crash->stack; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        fprintf(stream, "      %.*s\n", (int)length, line);
        line += length + (line[length] != '\0');
    }
}

void crash_write_stack_json(const char *stack, FILE *stream)
{
    const char *between = "[";

    for (const char *line = stack; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        fputs(between, stream);
        ersatz_json_string(line, length, stream);
        between = ", ";
        line += length + (line[length] != '\0');
    }
    fputs(between[0] == '[' ? "[]" : "]", stream);
}

static void write_process(const struct ending *first, const struct ersatz_record *record, FILE *stream)
{
    const struct ersatz_crash *crash = crash_recorded(record);
    struct ending ending;
    int signal = crash != NULL                                             ? crash->signal
                 : ending_of(record, first, &ending) && !has_ended(record) ? crash_signal(&ending)
                                                                           : 0;
    unsigned running = ended_in_callback(first, record) ? crash_running(record) : 0;

    if (signal == 0 && running == 0 && !ended_unseen(first, record))
        return;
    fprintf(stream, "\nprocess %" PRId64 " (%s) ", record->head.pid, record->head.program);
    if (signal != 0)
        fprintf(stream, "crashed by signal %d (%s)", signal, strsignal(signal));
    else
        fputs("ended without exit(3), by a signal or by _exit(2)", stream);
    if (running > 0) {
        fprintf(stream, ", while %s:\n", running == 1 ? "a callback ran" : "callbacks ran");
        ersatz_findings_write_running(&record->findings, stream);
        fputs("    Explanation and remedy: docs/findings.md#crashes\n", stream);
    } else {
        fprintf(stream, "; %s\n",
            has_work(record) ? "no callback of its jobs ran at that moment"
                             : "none of its jobs had used the card");
    }
    if (crash != NULL)
        write_stack(crash, stream);
}

void crash_write(const struct ending *ending, const struct records *records, FILE *stream)
{
    for (unsigned i = 0; i < records->count; i++)
        write_process(ending, records->of[i], stream);
}
