/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of ersatz-top share. */
#ifndef ERSATZ_TOP_H
#define ERSATZ_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "ersatz/record.h"
#include "tools/common/program.h"

#define CARDS_MAX 64u
#define WORKERS_SHOWN 64u
#define HISTORY 60u /* samples in a sparkline */

struct worker {
    long thread;
    uint64_t ns; /* of processor time */
    double load; /* since the sample before: 1 is a whole core */
};

/* A process with a record. */
struct card {
    char *directory, *name; /* of the record */
    long pid;
    struct ersatz_record *now, *before; /* the newest sample, and the one before that; NULL: none */
    uint64_t at_ns, before_ns;          /* when they were taken */
    bool runs;                          /* the process has not ended */
    struct worker workers[WORKERS_SHOWN];
    unsigned worker_count;
    double history[HISTORY]; /* operations a second, the newest last */
    unsigned history_count;
};

struct cards {
    struct card *of[CARDS_MAX];
    unsigned count;
    bool all; /* those of every process that can be found, so that new ones come in */
};

/* ------------------------------------------------------------------------------------------------ find.c */

/* Adds the record of a process, that file, or all records in that directory. Exits if there is none. */
void cards_add(struct cards *cards, const char *what);

/* Adds the records of all processes whose memory maps we may read, but for those that are there. */
void cards_add_all(struct cards *cards);

/* ----------------------------------------------------------------------------------------------- cards.c */

/* Adds a record, unless it is there, or there are CARDS_MAX. Takes a copy of the names. */
void card_add(struct cards *cards, const char *directory, const char *name);

/* Takes a sample of all. A record that cannot be read (any more) keeps its last sample. */
void cards_sample(struct cards *cards);

void cards_free(struct cards *cards);

/* How many requests are in flight, in the instances that are shown. */
unsigned card_in_flight(const struct ersatz_record *record, enum ersatz_flight kind);

/* How many instances are shown, and how many seconds the process had run at the newest sample. */
unsigned card_instances(const struct ersatz_record *record);
double card_seconds(const struct card *card);

uint64_t counter(const _Atomic uint64_t *counter);
uint32_t load_of(const _Atomic uint32_t *number); /* of struct ersatz_load */

/* What the threads of the card counted per second; 0 where there is no sample before. */
double card_rate(const struct card *card, enum ersatz_counter counter);

/* Operations of one kind on the card, and of all kinds. */
double card_operations(const struct card *card, unsigned kind);
double card_all_operations(const struct card *card);

/* ------------------------------------------------------------------------------------------------ draw.c */

struct look {
    unsigned columns; /* lines are cut there; 0: not at all */
    bool color, utf8;
};

/* Writes all cards, line by line; calls put() for each line, which has no newline. */
void draw(
    const struct cards *cards, const struct look *look, void (*put)(void *arg, const char *line), void *arg);

/* ---------------------------------------------------------------------------------------------- export.c */

void export_json(const struct cards *cards, FILE *stream);
void export_prometheus(const struct cards *cards, FILE *stream);

/* ---------------------------------------------------------------------------------------------- screen.c */

/* Draws the cards again and again, until the user ends it. */
void screen_run(struct cards *cards, const struct look *look, double interval);

/* How the terminal, or the lack of one, wants it. */
struct look screen_look(void);

#endif
