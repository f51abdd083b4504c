/* SPDX-License-Identifier: Apache-2.0 */
/* Begins the findings of a check, and says what was found. */
#include "check.h"

#include <openssl/async.h>
#include <stdlib.h>
#include <time.h>

#include "ersatz/output.h"

/* How many findings were said. Of the process, however often the module is loaded. */
static uint64_t said;

void findings_begin(struct ersatz_findings *findings, const struct ersatz_check_limits *limits)
{
    if (atomic_load_explicit(&findings->began_ns, memory_order_relaxed) != 0)
        return;
    ersatz_findings_init(findings, limits);
    said = 0;
}

void findings_say(const struct ersatz_findings *findings)
{
    uint64_t found = ersatz_findings_total(findings);
    char *text = NULL;
    size_t len = 0;
    FILE *memory = found > said ? open_memstream(&text, &len) : NULL;

    said = found;
    if (memory == NULL)
        return;
    ersatz_findings_write(findings, memory);
    if (fclose(memory) == 0)
        ersatz_say_text(text, len);
    free(text);
}

#define BATCHES_MEASURED 20u
#define PAUSE_FACTOR 8u

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How long a call takes, in hundredths of nanoseconds, when nothing comes in between. */
static uint64_t measure_call(void (*call)(void))
{
    uint64_t shortest = UINT64_MAX;

    for (unsigned i = 0; i < BATCHES_MEASURED; i++) {
        uint64_t took = now_ns();

        for (unsigned n = 0; n < 100; n++)
            call();
        took = now_ns() - took;
        shortest = took < shortest ? took : shortest;
    }
    return shortest;
}

static void pause_once(void)
{
    ASYNC_pause_job();
}

static void look_at_clock(void)
{
    now_ns();
}

/*
 * Outside a job a pause returns at once, as a blocked pause does in a job. One that switches to the
 * application and back takes fifteen times as long. So eight times the shortest is the limit, and the time
 * for reading the clock is added.
 */
uint32_t findings_measure_pause(void)
{
    if (ASYNC_get_current_job() != NULL)
        return 0;
    return (uint32_t)((measure_call(look_at_clock) + measure_call(pause_once) * PAUSE_FACTOR) / 100);
}
