/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the statistics and the trace to files. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ersatz/device.h"
#include "ersatz/output.h"

bool report_set_file(char **file, const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return false;
    free(*file);
    *file = copy;
    return true;
}

void report_reset(struct report *report)
{
    free(report->stats_file);
    free(report->trace_file);
    free(report->control);
    report->stats_file = report->trace_file = report->control = NULL;
}

void report_expand(const struct report *report, const char *path, char *out, size_t size)
{
    bool has_id = strstr(path, "%p") != NULL;
    size_t used = 0;

    out[0] = '\0';
    for (const char *at = path; *at != '\0' && used + 1 < size;) {
        if (at[0] == '%' && at[1] == 'p') {
            used += (size_t)snprintf(out + used, size - used, "%ld", (long)getpid());
            at += 2;
        } else {
            out[used++] = *at++;
            out[used] = '\0';
        }
    }
    if (!has_id && getpid() != report->first_process && used < size)
        snprintf(out + used, size - used, ".%ld", (long)getpid());
}

static bool write_stats(void *arg, FILE *stream)
{
    const struct ersatz_record *record = arg;
    const struct ersatz_findings *findings = &record->findings;

    /* Acquire: pairs with the release of the one who began them. */
    if (atomic_load_explicit(&findings->began_ns, memory_order_acquire) == 0)
        findings = NULL;
    return ersatz_stats_write(&record->stats, findings, &record->latency, ersatz_kernels_in_use(), stream);
}

static bool write_trace(void *arg, FILE *stream)
{
    struct ersatz_record *record = arg;
    const struct ersatz_traced process = {
        .pid = getpid(), .program = record->head.program, .trace = &record->trace};

    return ersatz_trace_write(&process, 1, stream);
}

bool report_write_trace(const char *path, struct ersatz_record *record, struct ersatz_error *error)
{
    return ersatz_write_file(path, write_trace, record, error);
}

static void write_file(const struct report *report, const char *command, const char *file,
    struct ersatz_record *record, bool (*write)(void *, FILE *))
{
    struct ersatz_error error;
    char path[4096];

    if (file == NULL)
        return;
    report_expand(report, file, path, sizeof(path));
    if (!ersatz_write_file(path, write, record, &error))
        ersatz_say("%s %s", command, error.text);
}

void report_write(const struct report *report, struct ersatz_record *record)
{
    write_file(report, "STATS_FILE", report->stats_file, record, write_stats);
    write_file(report, "TRACE", report->trace_file, record, write_trace);
}
