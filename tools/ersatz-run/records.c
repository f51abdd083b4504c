/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the records that the processes have left. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ersatz/output.h"
#include "run.h"

static void *grown(void *array, unsigned count, size_t size)
{
    void *more = realloc(array, (count + 1) * size);

    if (more == NULL)
        give_up("out of memory");
    return more;
}

/* Adds a text about a record that cannot be read, and takes ownership of it. Keeps the first TROUBLES_MAX. */
static void add_trouble(struct records *records, char *trouble)
{
    if (records->trouble_count == TROUBLES_MAX) {
        records->more_troubles++;
        free(trouble);
        return;
    }
    records->troubles = grown(records->troubles, records->trouble_count, sizeof(*records->troubles));
    records->troubles[records->trouble_count++] = trouble;
}

/* Inserts a record before those that were made later. */
static void add_record(struct records *records, struct ersatz_record *record, uid_t owner)
{
    unsigned at = records->count;

    records->of = grown(records->of, records->count, sizeof(*records->of));
    records->owners = grown(records->owners, records->count, sizeof(*records->owners));
    for (; at > 0 && records->of[at - 1]->head.made > record->head.made; at--) {
        records->of[at] = records->of[at - 1];
        records->owners[at] = records->owners[at - 1];
    }
    records->of[at] = record;
    records->owners[at] = owner;
    records->count++;
}

void records_read(struct records *records, int directory)
{
    DIR *stream = directory_stream(directory);
    unsigned found = 0, traces = 0, traced = 0;
    struct dirent *entry;

    *records = (struct records){0};
    if (stream == NULL)
        give_up("cannot read the directory of records: %s", strerror(errno));
    while ((entry = readdir(stream)) != NULL) {
        struct ersatz_error error;
        struct ersatz_record *record;
        uid_t owner;

        if (!ersatz_record_is_named_so(entry->d_name) || ++found > RECORDS_MAX)
            continue;
        record = ersatz_record_read(directory, entry->d_name, traces < TRACES_MAX, &owner, &error);
        if (record == NULL) {
            add_trouble(records, text("%s", error.text));
            continue;
        }
        traces += record->trace.begun > 0;
        traced += record->head.started && record->head.traced;
        add_record(records, record, owner);
    }
    closedir(stream);
    if (found > RECORDS_MAX)
        add_trouble(records, text("%u more records; only %u are read", found - RECORDS_MAX, RECORDS_MAX));
    if (traced > traces && traces == TRACES_MAX)
        add_trouble(records,
            text("the timelines of %u more processes; only %u are read", traced - traces, TRACES_MAX));
}

void records_free(struct records *records)
{
    for (unsigned i = 0; i < records->count; i++)
        free(records->of[i]);
    for (unsigned i = 0; i < records->trouble_count; i++)
        free(records->troubles[i]);
    free(records->of);
    free(records->owners);
    free(records->troubles);
}

/* True if a process has mapped a record in this directory: its own, or for a moment after a fork its
 * parent's. A process that has become another program since has none. */
static bool maps_a_record(const char *pid, const char *directory)
{
    char path[64], line[PATH_MAX + 128];
    FILE *stream;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
    stream = fopen(path, "re");
    while (!found && stream != NULL && fgets(line, sizeof(line), stream) != NULL)
        found = strstr(line, directory) != NULL;
    if (stream != NULL)
        fclose(stream);
    return found;
}

bool records_anyone_runs(const char *directory, pid_t *pid)
{
    DIR *stream = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    while (!found && stream != NULL && (entry = readdir(stream)) != NULL) {
        *pid = (pid_t)strtol(entry->d_name, NULL, 10);
        found = *pid > 0 && maps_a_record(entry->d_name, directory);
    }
    if (stream != NULL)
        closedir(stream);
    return found;
}

bool records_any_trace(const struct records *records)
{
    for (unsigned i = 0; i < records->count; i++) {
        if (records->of[i]->trace.begun > 0)
            return true;
    }
    return false;
}

bool records_write_trace(const struct records *records, FILE *stream)
{
    struct ersatz_traced *processes = calloc(records->count + 1, sizeof(*processes));
    unsigned count = 0;
    bool ok;

    if (processes == NULL)
        give_up("out of memory");
    for (unsigned i = 0; i < records->count; i++) {
        struct ersatz_record *record = records->of[i];

        if (record->trace.begun > 0)
            processes[count++] = (struct ersatz_traced){
                .pid = record->head.pid, .program = record->head.program, .trace = &record->trace};
    }
    ok = ersatz_trace_write(processes, count, stream);
    free(processes);
    return ok;
}

static bool fill_trace(void *records, FILE *stream)
{
    return records_write_trace(*(const struct records **)records, stream);
}

bool records_save_trace(const struct records *records, const char *path, struct ersatz_error *error)
{
    return ersatz_write_file(path, fill_trace, &records, error);
}
