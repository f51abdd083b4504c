/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of ersatz-run share. */
#ifndef ERSATZ_RUN_H
#define ERSATZ_RUN_H

#include <dirent.h>
#include <openssl/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ersatz/record.h"
#include "tools/common/program.h"

/* Exit codes of ersatz-run itself, beside EXIT_TROUBLE; all others are the program's. */
#define EXIT_FINDINGS 3    /* --strict: the program ended well, but made mistakes */
#define EXIT_NO_JOB 4      /* --strict: the program ended well, but no job used the card */
#define EXIT_TOO_LONG 124  /* as timeout(1): --round, and the program did not end */
#define EXIT_NO_PERMIT 126 /* as in a shell: the program could not be started */
#define EXIT_NO_PROGRAM 127

/* ------------------------------------------------------------------------------------------- options.c */

enum door { DOOR_AUTO, DOOR_ENGINE, DOOR_PROVIDER };

struct options {
    enum door door;
    const char *profile, *faults; /* here and below, NULL: not given */
    const char *seed;             /* never NULL */
    const char *profile_path;     /* of a file: absolute, since the program may change its directory */
    const char *trace;            /* file for the timeline */
    const char *report;           /* file for the report */
    const char *socket;           /* path of the control socket, absolute */
    const char *control;          /* more control commands */
    const char *module;
    double round; /* seconds: run as in a hunt, for that long at most; 0: not given */
    bool check, strict, json, no_trace;
    bool growth; /* with round: judge growth; it counts if it is faster, for each operation, than this: */
    double growth_allowed[2];              /* in descriptors, and in bytes of memory */
    bool seed_chosen;                      /* true: the user gave no seed, and we chose one */
    bool allows, allowed[ERSATZ_FINDINGS]; /* --allow was given, and its findings */
    char **command;                        /* ends with NULL */
};

/* Each checks the value of an option that several commands have, and exits if it is wrong. */
enum door option_door(const char *name);
void option_allow(struct options *options, const char *name);
const char *option_value(const char *option, const char *value); /* for ERSATZ_CTRL */
const char *option_profile(const char *value);                   /* the absolute path of a file */

/* Writes a text and exits. */
_Noreturn void option_show(void (*write)(FILE *), const char *what);

/* Parses the arguments. Exits after --help and the like, and if the arguments are wrong. */
void options_read(struct options *options, int argc, char **argv);

/* Writes the output of --list. */
void list_all(FILE *stream);

/* A new text, printf style, which the caller frees. Exits if there is no memory. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* -------------------------------------------------------------------------------------------- config.c */

/* The user's configuration of OpenSSL. */
struct config {
    char *file;  /* path; NULL: there is none */
    CONF *users; /* its content */
    const char *module;
    enum door door;   /* not DOOR_AUTO */
    char *properties; /* the default properties, if the door is the provider and does not set them itself */
};

/* Reads the user's configuration. Exits if it cannot be read. */
void config_read(struct config *config, const char *module);
void config_free(struct config *config);

/* True if the user's configuration loads the module by this door. */
bool config_has(const struct config *config, enum door door);

/* The value of the last such command in a list NAME:VALUE;..., with what follows it; empty if it has none.
 * NULL: it is not there. The list may be NULL. */
const char *control_setting(const char *control, const char *name);

/* The value of this command in the user's section for the door of `config`. NULL: it is not there. */
const char *config_setting(const struct config *config, const char *command);
bool config_sets(const struct config *config, const char *command);

/* Chooses the door. Call this before config_write(). */
void config_set_door(struct config *config, enum door door);

/* Writes an openssl.cnf that contains the user's and loads the module. Leaves out the user's commands for the
 * module that `control` (NAME:VALUE;...) contains too. */
void config_write(FILE *stream, const struct config *config, const char *control);

/* ---------------------------------------------------------------------------------------------- door.c */

struct libcryptos {
    char *programs, *modules; /* paths of the libcrypto that the program and the module load; NULL: none */
    bool differ;              /* their versions do */
};

const char *door_name(enum door door);

/* Finds the libcrypto of the program and of the module. */
void libcryptos_find(struct libcryptos *libcryptos, const char *command, const char *module);
void libcryptos_free(struct libcryptos *libcryptos);

/* Chooses the door. wanted: DOOR_AUTO, or it is the result. Exits if OpenSSL does not have that door. */
enum door door_choose(enum door wanted, const struct libcryptos *libcryptos, const struct config *config);

/* -------------------------------------------------------------------------------------------- module.c */

/* The absolute path of the module, which the caller frees. Exits if there is none. wanted: --module, or
 * NULL. */
char *module_find(const char *wanted);

/* Loads the module in a child process, with these control commands. Prints the errors and exits if that
 * fails. */
void module_try(const char *module, enum door door, const char *control);

#define PROVIDER_NAME_MAX 64u

/* From which provider OpenSSL takes what the card computes. Empty: from none. */
struct sources {
    char aes[PROVIDER_NAME_MAX], rsa[PROVIDER_NAME_MAX];
};

/* Loads the program's configuration in a child process, with this environment (name, value, ..., NULL).
 * Prints the reason and exits if the module is not loaded. If the door is the provider, sources is
 * filled in. */
void module_try_config(const struct config *config, const char *const *environment, struct sources *sources);

/* --------------------------------------------------------------------------------------------- files.c */

/* Makes a file in an open directory, with this mode whatever the umask. NULL: see errno. */
FILE *file_make(int directory, const char *name, mode_t mode);

/* A stream of a directory that is open, from its beginning; closedir(3) leaves the descriptor open. NULL: see
 * errno. */
DIR *directory_stream(int directory);

/* TMPDIR, or /tmp. */
const char *temporary_directory(void);

/* Makes a file in that directory that only this user can read and whose name nobody can guess. The caller
 * frees *path and closes the file. NULL: *why is the reason, a constant text; there is no file. */
FILE *file_temporary(char **path, const char **why);

/* --------------------------------------------------------------------------------------------- place.c */

/* The files that exist while the program runs. */
struct place {
    char *directory, *records, *config, *engines, *modules; /* paths, for the program */
    char *records_name; /* of the directory of records, within the directory */
    int parent, fd, records_fd, engines_fd, modules_fd; /* descriptors of the parent and of the directories */
};

/* Makes and removes them. control: see config_write(). */
void place_make(struct place *place, const struct config *config, const char *control);
void place_remove(struct place *place);

/* --------------------------------------------------------------------------------------------- child.c */

struct ending {
    int status;         /* from waitpid(2) */
    uint64_t passed_on; /* a bit for each signal that was sent to us while the program ran */
    double seconds;     /* from start to end */
    pid_t pid;
    bool too_long, stopped; /* bounded: it was killed at its time limit; because of a signal to us */
    int crashed; /* bounded: the signal by which another of its processes crashed, as far as we are its parent
                  */
};

/* For a program of which nothing may survive: a round of a hunt. */
struct child_bounds {
    double seconds;              /* it is killed after that time */
    const char *output, *errors; /* files for standard output and standard error; NULL: ours */
    const char *stacks;          /* file for the stacks of its threads when it is killed; NULL: none */
    const char *threads; /* file for the stacks of the threads of each process that crashes; NULL: none */
    const struct place *place;    /* with threads: of the records */
    const sigset_t *mask;         /* its signal mask; NULL: ours */
    bool stop_at_signal;          /* a signal to us kills it, and is not passed on */
    void (*watch)(void *watched); /* called every 10 ms while it runs; NULL: not */
    void *watched;
};

/* Call before starting any child. Our parent may have had SIGCHLD ignored, and then waitpid(2) does not work.
 * The program gets the parent's setting back. */
void child_expect(void);

/* Runs the command with our environment and these additions (name, value, ..., NULL), and passes signals on.
 * Returns when the command has ended, and so have the processes it left that have a record in that directory;
 * with bounds (which may be NULL), it ends all processes that the command has left. pid is -1 if the command
 * could not be started. */
struct ending child_run(
    char **command, const char *const *environment, const char *records, const struct child_bounds *bounds);

/* Ends in the same way as the program. */
_Noreturn void child_end_like(const struct ending *ending);

/* -------------------------------------------------------------------------------------------- card.c */

/* Finds the module and chooses the door, makes the place, and loads the module in child processes as the
 * options ask for, first without the program's configuration and then with it. Prints the reason and exits if
 * that fails. Returns the module, which the caller frees after the configuration. */
char *card_prepare(const struct options *options, struct config *config, struct libcryptos *libcryptos,
    struct place *place, struct sources *sources);

/* Makes the place, without a trial. */
void card_place(const struct options *options, const struct config *config, struct place *place);

/* Runs the program on a card as the options ask for. bounds: see child_run(). */
struct ending card_run(const struct options *options, const struct config *config, const struct place *place,
    const struct child_bounds *bounds);

/* ------------------------------------------------------------------------------------------- records.c */

#define RECORDS_MAX 1024u /* how many records are read: about 200 KiB each */
#define TROUBLES_MAX 16u  /* how many unreadable records are reported */
#define TRACES_MAX 256u   /* how many traces are read: 1 MiB more each */

struct records {
    struct ersatz_record **of; /* in the order in which they were made */
    uid_t *owners;             /* the user of each process */
    unsigned count;
    char **troubles;                       /* a sentence for each record that cannot be read */
    unsigned trouble_count, more_troubles; /* more: beyond TROUBLES_MAX */
};

/* Reads the records in the open directory. */
void records_read(struct records *records, int directory);
void records_free(struct records *records);

/* True if a process with a record in the directory still runs; *pid is one of them. */
bool records_anyone_runs(const char *directory, pid_t *pid);

/* True if any process traced its requests. */
bool records_any_trace(const struct records *records);

/* Writes the timeline. False: see errno. */
bool records_write_trace(const struct records *records, FILE *stream);

/* Writes the timeline to a file, see ersatz_write_file(). */
bool records_save_trace(const struct records *records, const char *path, struct ersatz_error *error);

/* -------------------------------------------------------------------------------------- report_*.c */

struct totals;

struct outcome {
    const struct options *options;
    const struct config *config;
    const struct libcryptos *libcryptos;
    const struct sources *sources;
    const struct ending *ending;
    const struct records *records;
    const struct totals *totals;
    const char *trace;  /* path of the timeline; NULL: none was written */
    char *growths[2];   /* --growth: how the program grows, a sentence for each kind; NULL: it does not */
    bool growth_judged; /* whether any process did enough for that */
    int status;         /* our exit status; 128 plus the number for a signal, as in a shell */
};

void report_text(const struct outcome *outcome, FILE *stream);
void report_json(const struct outcome *outcome, FILE *stream);

/* -------------------------------------------------------------------------------------------- status.c */

/* Computes our exit status. Does not use outcome->status. */
int status_of(const struct outcome *outcome, const struct totals *totals);

/* True if the status comes from --strict and not from the program. */
bool status_is_our_own(const struct outcome *outcome, int status);

/* Writes the reason for the status, without a newline. */
void status_explain(const struct outcome *outcome, const struct totals *totals, int status, FILE *stream);

#endif
