/* Reads what the processes have left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

static bool is_record(const struct dirent *entry)
{
    const char *suffix = strstr(entry->d_name, ERSATZ_RECORD_SUFFIX);

    return suffix != NULL && strcmp(suffix, ERSATZ_RECORD_SUFFIX) == 0;
}

static void *grown(void *array, unsigned count, size_t size)
{
    void *more = realloc(array, (count + 1) * size);

    if (more == NULL)
        give_up("out of memory");
    return more;
}

static int by_age(const void *a, const void *b)
{
    const struct ersatz_record *const *x = a, *const *y = b;
    uint64_t p = (*x)->head.made, q = (*y)->head.made;

    return p < q ? -1 : p > q;
}

void records_read(struct records *records, const char *directory)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;

    *records = (struct records){0};
    if (stream == NULL)
        give_up("%s: %s", directory, strerror(errno));
    while ((entry = readdir(stream)) != NULL) {
        struct ersatz_error error;
        struct ersatz_record *record;

        if (!is_record(entry))
            continue;
        record = ersatz_record_read(dirfd(stream), entry->d_name, &error);
        if (record != NULL) {
            records->of = grown(records->of, records->count, sizeof(*records->of));
            records->of[records->count++] = record;
        } else {
            records->troubles = grown(records->troubles, records->trouble_count, sizeof(*records->troubles));
            records->troubles[records->trouble_count++] = text("%s", error.text);
        }
    }
    closedir(stream);
    if (records->count > 0)
        qsort(records->of, records->count, sizeof(struct ersatz_record *), by_age);
}

void records_free(struct records *records)
{
    for (unsigned i = 0; i < records->count; i++)
        free(records->of[i]);
    for (unsigned i = 0; i < records->trouble_count; i++)
        free(records->troubles[i]);
    free(records->of);
    free(records->troubles);
}

/* Whether a process has a record of this directory in its memory: its own, or for an instant after a fork its
 * parent's. One that has become another program since has none. */
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

uint64_t records_findings(const struct records *records)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < records->count; i++)
        total += ersatz_findings_total(&records->of[i]->findings);
    return total;
}

bool records_any_work(const struct records *records)
{
    for (unsigned i = 0; i < records->count; i++) {
        for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
            if (atomic_load_explicit(&records->of[i]->stats.requests[name], memory_order_relaxed) > 0)
                return true;
        }
    }
    return false;
}

bool records_write_trace(const struct records *records, const char *path)
{
    struct ersatz_traced *processes = calloc(records->count + 1, sizeof(*processes));
    unsigned count = 0;
    FILE *stream;
    bool ok;

    if (processes == NULL)
        give_up("out of memory");
    for (unsigned i = 0; i < records->count; i++) {
        struct ersatz_record *record = records->of[i];

        if (record->trace.begun > 0)
            processes[count++] = (struct ersatz_traced){
                .pid = record->head.pid, .program = record->head.program, .trace = &record->trace};
    }
    if (count == 0) {
        free(processes);
        return false;
    }
    stream = fopen(path, "we");
    ok = stream != NULL && ersatz_trace_write(processes, count, stream);
    if (!ok)
        fprintf(stderr, "ersatz-run: --trace %s: %s\n", path, strerror(errno));
    if (stream != NULL)
        fclose(stream);
    free(processes);
    return ok;
}
