/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of cards: their records, and the processor time of their workers. */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "top.h"

#define NS_PER_S UINT64_C(1000000000)

void card_add(struct cards *cards, const char *directory, const char *name)
{
    struct card *card;

    for (unsigned i = 0; i < cards->count; i++) {
        if (strcmp(cards->of[i]->name, name) == 0 && strcmp(cards->of[i]->directory, directory) == 0)
            return;
    }
    if (cards->count == CARDS_MAX)
        return;
    card = calloc(1, sizeof(*card));
    if (card == NULL || (card->directory = strdup(directory)) == NULL || (card->name = strdup(name)) == NULL)
        give_up("out of memory");
    card->pid = strtol(name, NULL, 10);
    cards->of[cards->count++] = card;
}

static void card_free(struct card *card)
{
    free(card->now);
    free(card->before);
    free(card->directory);
    free(card->name);
    free(card);
}

void cards_free(struct cards *cards)
{
    while (cards->count > 0)
        card_free(cards->of[--cards->count]);
}

uint64_t counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

uint32_t load_of(const _Atomic uint32_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

unsigned card_instances(const struct ersatz_record *record)
{
    uint32_t instances = load_of(&record->load.instances);

    return instances < ERSATZ_LOAD_INSTANCES ? instances : ERSATZ_LOAD_INSTANCES;
}

double card_seconds(const struct card *card)
{
    uint64_t made = card->now->head.made;

    return card->at_ns > made ? (double)(card->at_ns - made) / (double)NS_PER_S : 0;
}

unsigned card_in_flight(const struct ersatz_record *record, enum ersatz_flight kind)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < ERSATZ_LOAD_INSTANCES; i++)
        sum += ersatz_flights_of(counter(&record->load.of[i].flights), kind);
    return sum;
}

static double rate(const struct card *card, uint64_t is, uint64_t was)
{
    return is < was ? 0 : (double)(is - was) * (double)NS_PER_S / (double)(card->at_ns - card->before_ns);
}

static bool has_rates(const struct card *card)
{
    return card->before != NULL && card->at_ns > card->before_ns;
}

double card_rate(const struct card *card, enum ersatz_counter counter)
{
    if (!has_rates(card))
        return 0;
    return rate(card, ersatz_stats_count(&card->now->stats, counter),
        ersatz_stats_count(&card->before->stats, counter));
}

double card_operations(const struct card *card, unsigned kind)
{
    if (!has_rates(card))
        return 0;
    return rate(card, ersatz_stats_requests(&card->now->stats, kind),
        ersatz_stats_requests(&card->before->stats, kind));
}

double card_all_operations(const struct card *card)
{
    double sum = 0;

    for (unsigned kind = 0; kind < ERSATZ_REQUEST_NAMES; kind++)
        sum += card_operations(card, kind);
    return sum;
}

/* ----------------------------------------------------------------------------------------------- workers */

static struct worker *worker_of(struct card *card, long thread)
{
    for (unsigned i = 0; i < card->worker_count; i++) {
        if (card->workers[i].thread == thread)
            return &card->workers[i];
    }
    return NULL;
}

/* One thread: whether it is a worker, and then what it has used since the sample before. */
static bool sample_worker(struct card *card, long thread, struct worker *worker)
{
    const struct worker *was = worker_of(card, thread);
    char line[96];

    first_line(line, sizeof(line), "/proc/%ld/task/%ld/comm", card->pid, thread);
    if (strcmp(line, ERSATZ_WORKER_THREAD) != 0)
        return false;
    first_line(line, sizeof(line), "/proc/%ld/task/%ld/schedstat", card->pid, thread);
    *worker = (struct worker){.thread = thread, .ns = strtoull(line, NULL, 10)};
    if (was != NULL && worker->ns > was->ns && card->at_ns > card->before_ns)
        worker->load = (double)(worker->ns - was->ns) / (double)(card->at_ns - card->before_ns);
    return true;
}

static int by_thread(const void *a, const void *b)
{
    const struct worker *x = a, *y = b;

    return x->thread < y->thread ? -1 : x->thread > y->thread;
}

static void sample_workers(struct card *card)
{
    struct worker workers[WORKERS_SHOWN];
    const struct dirent *entry;
    unsigned count = 0;
    char path[64];
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%ld/task", card->pid);
    tasks = opendir(path);
    while (tasks != NULL && count < WORKERS_SHOWN && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.' && sample_worker(card, strtol(entry->d_name, NULL, 10), &workers[count]))
            count++;
    }
    if (tasks != NULL)
        closedir(tasks);
    qsort(workers, count, sizeof(workers[0]), by_thread);
    memcpy(card->workers, workers, count * sizeof(workers[0]));
    card->worker_count = count;
}

/* ------------------------------------------------------------------------------------------------ sample */

/* A process that has ended and was not waited for still has its number, but no memory. */
static bool process_runs(long pid)
{
    char line[512];
    const char *state;

    first_line(line, sizeof(line), "/proc/%ld/task/%ld/stat", pid, pid);
    state = strrchr(line, ')');
    return state != NULL && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

static void note_history(struct card *card)
{
    if (card->before == NULL)
        return;
    if (card->history_count == HISTORY)
        memmove(card->history, card->history + 1, (HISTORY - 1) * sizeof(card->history[0]));
    else
        card->history_count++;
    card->history[card->history_count - 1] = card_all_operations(card);
}

static void sample(struct card *card)
{
    struct ersatz_error error;
    struct ersatz_record *record = NULL;
    int directory = open(card->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    uint64_t now = now_ns();
    uid_t owner;

    if (directory >= 0) {
        record = ersatz_record_read(directory, card->name, false, &owner, &error);
        close(directory);
    }
    card->runs = process_runs(card->pid);
    if (record == NULL && card->now == NULL)
        return;
    if (record == NULL) { /* it went with its process: nothing happens any more */
        free(card->before);
        card->before = NULL;
        card->worker_count = 0;
        return;
    }
    free(card->before);
    card->before = card->now;
    card->before_ns = card->at_ns;
    card->now = record;
    card->at_ns = now;
    card->runs = card->runs &&
                 atomic_load_explicit(&record->head.state, memory_order_relaxed) == ERSATZ_RECORD_RUNNING;
    sample_workers(card);
    note_history(card);
}

/* A process that never used its card is left out, and one that was never read, too. */
void cards_sample(struct cards *cards)
{
    if (cards->all)
        cards_add_all(cards);
    for (unsigned i = 0; i < cards->count; i++)
        sample(cards->of[i]);
    for (unsigned i = cards->count; i-- > 0 && cards->all;) {
        struct card *card = cards->of[i];

        if (card->now != NULL && (card->runs || card->history_count > 0))
            continue;
        card_free(card);
        memmove(&cards->of[i], &cards->of[i + 1], (--cards->count - i) * sizeof(cards->of[0]));
    }
}
