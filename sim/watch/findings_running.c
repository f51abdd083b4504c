/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the callbacks that run, for people and as JSON. */
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
        fputs("    callback of ", stream);
        findings_write_request(running->request, running->operation, running->bytes, stream);
        fprintf(stream,
            ", submitted %.3f s after the start; the callback began at %.3f s on thread %" PRId32 " (%s)\n",
            (double)running->at_ns / 1e9, (double)running->began_ns / 1e9, running->thread,
            running->is_applications ? "the application's, which polls" : "the card's");
        name = name_of(findings, running->function);
        if (name[0] != '\0')
            fprintf(stream, "      function: %.*s\n", (int)strnlen(name, ERSATZ_CALLBACK_TEXT), name);
    }
    return !ferror(stream);
}

bool ersatz_findings_write_running_json(const struct ersatz_findings *findings, FILE *stream)
{
    struct json json = {.stream = stream};

    json_open(&json, NULL, '[');
    for (unsigned i = 0; i < ERSATZ_CALLBACKS_SEEN; i++) {
        const struct ersatz_running_callback *running = &findings->running[i];

        if (!runs(running))
            continue;
        json_open(&json, NULL, '{');
        findings_write_request_json(running->request, running->operation, running->bytes, &json);
        json_seconds(&json, "seconds", running->at_ns);
        json_seconds(&json, "callback_seconds", running->began_ns);
        json_signed(&json, "thread", running->thread);
        json_bool(&json, "thread_is_the_cards", !running->is_applications);
        json_string(&json, "function", name_of(findings, running->function), ERSATZ_CALLBACK_TEXT);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    return !ferror(stream);
}
