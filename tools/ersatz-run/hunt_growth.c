/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out whether the open descriptors or the memory of a process grow with each operation. While a round
 * runs, both are sampled together with the number of operations that the process has sent to the card.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "hunt.h"

#define OPERATIONS_LEAST 64u /* a process that does fewer is not judged */
#define PARTS 3u             /* of the second half of the operations */
#define PART_SAMPLES 3u      /* that each part needs at least */
#define UNEVEN 3u            /* a step may be so many times the other one, and still be called steady */

/* The smallest step from one part to the next that counts. */
static const uint64_t least_step[GROWTHS] = {[GROWTH_DESCRIPTORS] = 2, [GROWTH_MEMORY] = 256 * 1024};

static bool count_descriptors(int64_t pid, uint64_t *count)
{
    char *path = text("/proc/%lld/fd", (long long)pid);
    DIR *stream = opendir(path);
    struct dirent *entry;

    free(path);
    *count = 0;
    while (stream != NULL && (entry = readdir(stream)) != NULL)
        *count += entry->d_name[0] != '.';
    if (stream != NULL)
        closedir(stream);
    return stream != NULL;
}

/* Bytes of the process that are in memory and belong to no file. */
static bool read_memory(int64_t pid, uint64_t *bytes)
{
    char line[128];
    unsigned long long resident = 0, of_files = 0;
    bool ok = first_line(line, sizeof(line), "/proc/%lld/statm", (long long)pid) &&
              sscanf(line, "%*u %llu %llu", &resident, &of_files) == 2;

    *bytes = resident < of_files ? 0 : (resident - of_files) * (uint64_t)sysconf(_SC_PAGESIZE);
    return ok;
}

static struct growth_process *process_of(struct growth *growth, const struct ersatz_record_head *head)
{
    for (unsigned i = 0; i < growth->count; i++) {
        if (growth->of[i].pid == head->pid && growth->of[i].made == head->made)
            return &growth->of[i];
    }
    growth->of = realloc(growth->of, (growth->count + 1) * sizeof(*growth->of));
    if (growth->of == NULL)
        give_up("out of memory");
    growth->of[growth->count] = (struct growth_process){.pid = head->pid, .made = head->made, .stride = 1};
    return &growth->of[growth->count++];
}

/* Halves the samples when there is no room for more. */
static void make_room(struct growth_process *process)
{
    if (process->count < GROWTH_SAMPLES)
        return;
    for (unsigned i = 0; i < GROWTH_SAMPLES / 2; i++)
        process->samples[i] = process->samples[2 * i + 1];
    process->count = GROWTH_SAMPLES / 2;
    process->stride *= 2;
}

static void sample(struct growth *growth, const struct ersatz_record *record)
{
    struct growth_process *process = process_of(growth, &record->head);
    struct growth_sample now = {0};
    uint64_t last = process->count == 0 ? 0 : process->samples[process->count - 1].operations;

    for (enum ersatz_request_name name = 0; name < ERSATZ_REQUEST_NAMES; name++)
        now.operations += ersatz_stats_requests(&record->stats, name);
    /* Without a new operation, it may be about to end, or have become another program. */
    if (now.operations < last + process->stride)
        return;
    if (!count_descriptors(record->head.pid, &now.level[GROWTH_DESCRIPTORS]) ||
        !read_memory(record->head.pid, &now.level[GROWTH_MEMORY]))
        return;
    make_room(process);
    process->samples[process->count++] = now;
}

/* Whether the process that a record is named after has ended, or is another user's, of which nothing can be
 * sampled either. Its record would be read for nothing, and a command may have started hundreds. */
static bool is_gone(const char *name)
{
    return kill((pid_t)strtol(name, NULL, 10), 0) != 0;
}

void growth_watch(void *watched)
{
    struct growth *growth = watched;
    DIR *stream = directory_stream(growth->records);
    struct dirent *entry;
    unsigned found = 0;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        struct ersatz_error error;
        struct ersatz_record *record;
        uid_t owner;

        if (!ersatz_record_is_named_so(entry->d_name) || ++found > RECORDS_MAX || is_gone(entry->d_name))
            continue;
        record = ersatz_record_read(growth->records, entry->d_name, false, &owner, &error);
        if (record != NULL && record->head.state == ERSATZ_RECORD_RUNNING)
            sample(growth, record);
        free(record); /* NULL: it is being made; records_read() reports what stays wrong */
    }
    if (stream != NULL)
        closedir(stream);
}

/* The lowest level in each part of the second half: peaks do not count. False: too few samples. */
static bool find_lows(const struct growth_process *process, enum growth_kind kind, uint64_t low[PARTS])
{
    uint64_t end = process->count == 0 ? 0 : process->samples[process->count - 1].operations;
    uint64_t half = end / 2;
    unsigned counts[PARTS] = {0};

    if (end < OPERATIONS_LEAST)
        return false;
    for (unsigned i = 0; i < process->count; i++) {
        const struct growth_sample *at = &process->samples[i];
        uint64_t part = at->operations <= half ? 0 : (at->operations - half - 1) * PARTS / (end - half);

        if (at->operations <= half)
            continue;
        if (counts[part]++ == 0 || at->level[kind] < low[part])
            low[part] = at->level[kind];
    }
    return counts[0] >= PART_SAMPLES && counts[1] >= PART_SAMPLES && counts[2] >= PART_SAMPLES;
}

static void find_in(const struct growth_process *process, enum growth_kind kind, struct grown *grown)
{
    uint64_t low[PARTS], first, second, end;
    double rate;

    if (!find_lows(process, kind, low) || low[1] < low[0] || low[2] < low[1])
        return;
    first = low[1] - low[0];
    second = low[2] - low[1];
    end = process->samples[process->count - 1].operations;
    if (first < least_step[kind] || second < least_step[kind] || first > second * UNEVEN ||
        second > first * UNEVEN)
        return;
    rate = (double)(first + second) / ((double)(end - end / 2) * (PARTS - 1) / PARTS);
    if (rate > grown->rate)
        *grown = (struct grown){.rate = rate, .from = low[0], .to = low[PARTS - 1], .operations = end};
}

void growth_find(const struct growth *growth, struct grown grown[GROWTHS])
{
    for (enum growth_kind kind = 0; kind < GROWTHS; kind++) {
        grown[kind] = (struct grown){0};
        for (unsigned i = 0; i < growth->count; i++)
            find_in(&growth->of[i], kind, &grown[kind]);
    }
}

bool growth_is_judged(const struct growth *growth)
{
    uint64_t low[PARTS];
    bool judged = false;

    for (unsigned i = 0; i < growth->count; i++)
        judged = judged || find_lows(&growth->of[i], GROWTH_DESCRIPTORS, low);
    return judged;
}

void growth_free(struct growth *growth)
{
    free(growth->of);
    *growth = (struct growth){0};
}

void growth_describe(enum growth_kind kind, const struct grown *grown, char *to, size_t size)
{
    unsigned long long from = grown->from, up_to = grown->to, operations = grown->operations;

    if (kind == GROWTH_MEMORY)
        snprintf(to, size, "from %llu to %llu KiB in the second half of %llu operations", from / 1024,
            up_to / 1024, operations);
    else
        snprintf(
            to, size, "from %llu to %llu in the second half of %llu operations", from, up_to, operations);
}

char *growth_text(enum growth_kind kind, const char *described)
{
    return text("its %s with each operation, %s",
        kind == GROWTH_MEMORY ? "memory grows" : "open descriptors grow", described);
}
