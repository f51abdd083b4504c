/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of ersatz-run share. */
#ifndef ERSATZ_RUN_H
#define ERSATZ_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ersatz/record.h"

/* Its own exit codes; all others are the program's. */
#define EXIT_TROUBLE 2     /* it was called wrongly, or could not do its work */
#define EXIT_FINDINGS 3    /* --strict: the program ended well, and made mistakes */
#define EXIT_NO_JOB 4      /* --strict: it ended well, and no job of its used the card */
#define EXIT_NO_PERMIT 126 /* as shells have it: the program could not be started */
#define EXIT_NO_PROGRAM 127

/* ------------------------------------------------------------------------------------------- options.c */

struct options {
    const char *profile, *faults; /* NULL: not given, as all of these */
    const char *seed;             /* never NULL */
    const char *profile_path;     /* absolute where it is of a file, for the program may go elsewhere */
    const char *trace;            /* where the timeline goes */
    const char *report;           /* where the report goes, instead of standard error */
    const char *control;          /* more control commands */
    const char *module;
    bool check, strict, json, no_trace;
    bool seed_chosen;                      /* the seed is one that we chose */
    bool allows, allowed[ERSATZ_FINDINGS]; /* --allow was given, and for which */
    char **command;                        /* ends with NULL */
};

/* Ends the program where that is all it was asked for, or where they are wrong. */
void options_read(struct options *options, int argc, char **argv);

/* --list */
void list_all(FILE *stream);

/* Says it on standard error, after the program's name, and ends. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A copy of a path or text, printf style. Ends the program where there is no memory. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* -------------------------------------------------------------------------------------------- module.c */

/* The module's absolute path; the caller frees it. */
char *module_find(const char *wanted);

/* Load it in a process of its own, with these control commands: what is wrong is said now, and ends the
 * program. */
void module_try(const char *module, const char *control);

/* -------------------------------------------------------------------------------------------- config.c */

/* Write an openssl.cnf that is the user's own and loads the module besides. Commands of the user's for the
 * engine are left out where `control` has them too (NAME:VALUE;...): the engine would run them last. */
void config_write(FILE *stream, const char *module, const char *control);

/* --------------------------------------------------------------------------------------------- files.c */

/* Makes a file in an open directory, with this mode whatever the umask. NULL: see errno. */
FILE *file_make(int directory, const char *name, mode_t mode);

/* Makes a file in TMPDIR, or /tmp, that only this user can read and whose name nobody can guess. The caller
 * frees *path and closes the file. NULL: *why is the reason, a constant text; there is no file. */
FILE *file_temporary(char **path, const char **why);

/* --------------------------------------------------------------------------------------------- place.c */

/* What lies in the file system while the program runs. */
struct place {
    char *directory, *records, *config, *engines; /* paths, for the program */
    char *records_name;                           /* of the directory of records, within the directory */
    int parent, fd, records_fd, engines_fd;       /* open: what the directory is in, and the directories */
};

/* control: see config_write(). */
void place_make(struct place *place, const char *module, const char *control);
void place_remove(struct place *place);

/* --------------------------------------------------------------------------------------------- child.c */

struct ending {
    int status;         /* as waitpid(2) has it */
    uint64_t passed_on; /* a bit for each signal that was sent to us while the program ran */
    double seconds;     /* from start to end */
    pid_t pid;
};

/* Before any child is started: whoever started us may have had the ends of children ignored, and then nobody
 * could wait for one. What it was is given to the program. */
void child_expect(void);

/* Run the command with this environment on top of our own, pass signals on, and wait until it has ended, and
 * what it left running with a record in that directory. */
struct ending child_run(char **command, const char *const *environment, const char *records);

/* End as the program did. */
_Noreturn void child_end_like(const struct ending *ending);

/* ------------------------------------------------------------------------------------------- records.c */

#define RECORDS_MAX 1024u /* how many are read: some 200 KiB each */
#define TROUBLES_MAX 16u  /* how many are told of */
#define TRACES_MAX 256u   /* of how many processes the timeline has the requests: 1 MiB more */

struct records {
    struct ersatz_record **of; /* in the order in which they were made */
    uid_t *owners;             /* of each: the user that its process ran as */
    unsigned count;
    char **troubles;                       /* files that are there and cannot be read: a sentence for each */
    unsigned trouble_count, more_troubles; /* more: that are not kept */
};

/* Read those in the open directory. */
void records_read(struct records *records, int directory);
void records_free(struct records *records);

bool record_is_named_so(const char *name);

/* Whether a process runs that has a record in the directory; *pid is one. */
bool records_anyone_runs(const char *directory, pid_t *pid);

/* Whether any process traced its requests. */
bool records_any_trace(const struct records *records);

/* False: errno says why. */
bool records_write_trace(const struct records *records, FILE *stream);

/* -------------------------------------------------------------------------------------- report_*.c */

struct totals;

struct outcome {
    const struct options *options;
    const struct ending *ending;
    const struct records *records;
    const struct totals *totals;
    const char *trace; /* NULL: none was written */
    int status;        /* what we end with; a signal is 128 and its number, as in a shell */
};

void report_text(const struct outcome *outcome, FILE *stream);
void report_json(const struct outcome *outcome, FILE *stream);

/* -------------------------------------------------------------------------------------------- status.c */

/* What we are to end with. Does not look at outcome->status. */
int status_of(const struct outcome *outcome, const struct totals *totals);

/* Whether that is --strict's, and not the program's. */
bool status_is_our_own(const struct outcome *outcome, int status);

/* Why, in one line without its end. */
void status_explain(const struct outcome *outcome, const struct totals *totals, int status, FILE *stream);

#endif
