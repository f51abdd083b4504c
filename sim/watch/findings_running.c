/* SPDX-License-Identifier: Apache-2.0 */
/* The texts about callbacks that run, for people and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "ersatz/findings.h"
#include "findings_text.h"

static bool runs(const struct ersatz_running_callback *running)
{
    return atomic_load_explicit(&running->runs, memory_order_acquire) != 0;
}

unsigned ersatz_findings_running(const struct ersatz_findings *findings)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++)
        count += runs(&findings->running[i]);
    return count;
}

/* Empty: not known. */
static const char *name_of(const struct ersatz_findings *findings, uint64_t function)
{
    for (unsigned i = 0; i < ERSATZ_CALLBACK_NAMES; i++) {
        if (atomic_load_explicit(&findings->callbacks[i].function, memory_order_acquire) == function)
            return findings->callbacks[i].text;
    }
    return "";
}

bool ersatz_findings_write_running(const struct ersatz_findings *findings, FILE *stream)
{
    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++) {
        const struct ersatz_running_callback *running = &findings->running[i];
        const char *name;

        if (!runs(running))
            continue;
        fputs("    the callback of an operation: ", stream);
        findings_write_request(running->request, running->operation, running->bytes, stream);
        fprintf(stream,
            ", submitted %.3f s after the start; the callback began at %.3f s, on thread %" PRId32 ", %s\n",
            (double)running->at_ns / 1e9, (double)running->began_ns / 1e9, running->thread,
            running->is_applications ? "which polls the card" : "which is the card's");
        name = name_of(findings, running->function);
        if (name[0] != '\0')
            fprintf(stream, "      its function: %.*s\n", (int)strnlen(name, ERSATZ_CALLBACK_TEXT), name);
    }
    return !ferror(stream);
}

bool ersatz_findings_write_running_json(const struct ersatz_findings *findings, FILE *stream)
{
    const char *between = "[";

    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++) {
        const struct ersatz_running_callback *running = &findings->running[i];

        if (!runs(running))
            continue;
        fprintf(stream,
            "%s{\"request\": %" PRIu64 ", \"operation\": \"%s\", \"bytes\": %" PRIu32
            ", \"seconds\": %.6f, \"callback_seconds\": %.6f, \"thread\": %" PRId32
            ", \"thread_is_the_cards\": %s, \"function\": ",
            between, running->request, findings_operation(running->operation), running->bytes,
            (double)running->at_ns / 1e9, (double)running->began_ns / 1e9, running->thread,
            running->is_applications ? "false" : "true");
        findings_write_string(name_of(findings, running->function), ERSATZ_CALLBACK_TEXT, stream);
        fputc('}', stream);
        between = ", ";
    }
    fputs(between[0] == '[' ? "[]" : "]", stream);
    return !ferror(stream);
}
