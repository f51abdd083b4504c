/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record: the statistics, findings and trace of a process, in one block of memory whose address never
 * changes. It can be kept in a file that is mapped shared; it then survives any end of the process, SIGKILL
 * included. The program that started the process (ersatz-run) reads it afterwards.
 */
#ifndef ERSATZ_RECORD_H
#define ERSATZ_RECORD_H

#include <sys/types.h>

#include "ersatz/findings.h"
#include "ersatz/latency.h"
#include "ersatz/result.h"
#include "ersatz/stats.h"
#include "ersatz/trace.h"

#define ERSATZ_RECORD_SUFFIX ".record"
/* As long as the head's magic, including its zero; changes with the layout. */
#define ERSATZ_RECORD_MAGIC "ERSATZ8"

enum ersatz_record_state {
    ERSATZ_RECORD_RUNNING = 1, /* or killed: the reader must find out whether the process exists */
    ERSATZ_RECORD_ENDED        /* exit(3) was called, or main returned */
};

struct ersatz_record_head {
    char magic[8]; /* written last when a file is made: without it, the rest is not valid */
    uint64_t size; /* of struct ersatz_record, so that another build does not read it */
    int64_t pid, parent;
    uint64_t made;         /* nanoseconds of CLOCK_MONOTONIC */
    _Atomic int state;     /* enum ersatz_record_state; relaxed */
    _Atomic bool started;  /* a device was started; relaxed */
    _Atomic bool traced;   /* the trace is filled; relaxed */
    _Atomic uint64_t seed; /* of the device that was started last; relaxed; valid once started is set */
    char refused[240];     /* why the last start of a device failed; empty: it did not */
    char program[64];      /* name of the process (comm) */
};

enum ersatz_crash_state {
    ERSATZ_CRASH_NONE,
    ERSATZ_CRASH_BEGUN,  /* the signal may be read, but the stack could not be written */
    ERSATZ_CRASH_WRITTEN /* all of it may be read */
};

/* The first crash of the process, with the command CRASHES. */
struct ersatz_crash {
    _Atomic uint32_t state; /* enum ersatz_crash_state */
    int32_t signal, thread;
    /* The place in the program: equal for crashes whose four innermost calls, those of the C library and of
     * the module left out, are the same. 0: there is none. */
    uint64_t place;
    uint32_t line;                   /* of the stack, from 0: the innermost one of these */
    char stack[ERSATZ_CALLERS_TEXT]; /* like the callers of a sighting, the innermost first */
};

/* Plain data. Without a file, it lies in the process's own memory. */
struct ersatz_record {
    struct ersatz_record_head head;
    struct ersatz_stats stats;
    struct ersatz_findings findings; /* zeroed: there is no check */
    struct ersatz_crash crash;
    struct ersatz_latency latency; /* empty without LATENCY */
    struct ersatz_load load;
    struct ersatz_trace trace; /* the largest part, and last: without a trace, it takes no memory */
};

/* Where a process keeps its record. */
struct ersatz_record_place {
    struct ersatz_record *record;
    char *directory; /* of the file; NULL: there is no file */
    int fd;          /* of the directory, for a process that changes its root directory or user */
    dev_t device;    /* which it is, to notice that a program which closes all descriptors has closed it, */
    ino_t inode;     /* and given the number to something else */
};

/* Makes an empty record in the process's own memory, for the life of the process. False: no memory. */
bool ersatz_record_init(struct ersatz_record_place *place);

/* True if a record can be kept in this directory (a descriptor; O_PATH is enough). A page of a file that has
 * been allocated must stay allocated even if the disk fills up, because otherwise a write to it kills the
 * process. That is so on tmpfs, ext4, xfs, and overlayfs over them, but not on btrfs, ZFS and the like. */
bool ersatz_record_suits(int directory);

/*
 * Moves the record, with its content, into a new file DIRECTORY/PID.record (or DIRECTORY/PID-NUMBER.record
 * with a random number, if that exists). The directory must exist, and ersatz_record_suits() must be true for
 * it. A forked child makes its own file there: see ersatz_record_after_fork(). If the record is in that
 * directory already, this does nothing. Counts that other threads add meanwhile may be lost: call this early.
 * False: the record stays where it was; *error says why.
 */
bool ersatz_record_keep(struct ersatz_record_place *place, const char *directory, struct ersatz_error *error);

/* Call in the child of a fork, before anything is counted. Makes an empty record for the child at the same
 * address, in a file if the parent's record was in one. False: no file could be made, so the record is in the
 * child's own memory; *error says why. (If there is no memory either, the child counts in its parent's
 * record: the program matters more.) */
bool ersatz_record_after_fork(struct ersatz_record_place *place, struct ersatz_error *error);

/* Allocates the pages of the trace now, so that a file system which fills up later does not kill the process.
 * False: there is no room, and the trace must not be used; *error says why. */
bool ersatz_record_reserve_trace(const struct ersatz_record_place *place, struct ersatz_error *error);

/* Whether a file of this name, or with this path, is a record as far as its name goes. */
bool ersatz_record_is_named_so(const char *name);

/*
 * Reads the record of this name in the directory into memory that the caller frees with free(); *owner is the
 * owner of the file. NULL: *error says why. The file is not trusted: a link is not followed, at most the size
 * of a record is read, texts are cleaned for a terminal, and the name must be that of the process it
 * describes. Its numbers may have any value. Without with_trace, the trace is empty, and 1 MiB less is read.
 */
struct ersatz_record *ersatz_record_read(
    int directory, const char *name, bool with_trace, uid_t *owner, struct ersatz_error *error);

/* Makes a text of `size` bytes safe for a terminal: terminates it, and replaces each byte that is neither
 * printable nor part of valid UTF-8 by a question mark. lines: newlines stay. */
void ersatz_text_clean(char *text, size_t size, bool lines);

#endif
