/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record: what a process tells of its card, in one block of memory at an address that does not change. It
 * can be kept in a file that is mapped shared, and then survives whatever ends the process, SIGKILL included.
 * Whoever starts the process reads it afterwards.
 */
#ifndef ERSATZ_RECORD_H
#define ERSATZ_RECORD_H

#include <sys/types.h>

#include "ersatz/device.h"
#include "ersatz/findings.h"
#include "ersatz/stats.h"
#include "ersatz/trace.h"

#define ERSATZ_RECORD_SUFFIX ".record"
/* With its end, as long as the head's magic; changes with the layout. */
#define ERSATZ_RECORD_MAGIC "ERSATZ2"

enum ersatz_record_state {
    ERSATZ_RECORD_RUNNING = 1, /* or killed: whether the process is there is for the reader to find out */
    ERSATZ_RECORD_ENDED        /* exit(3) was called, or main returned */
};

struct ersatz_record_head {
    char magic[8]; /* written last when a file is made: without it there is nothing to read */
    uint64_t size; /* of struct ersatz_record, so that a reader of another build notices */
    int64_t pid, parent;
    uint64_t made;        /* nanoseconds of CLOCK_MONOTONIC */
    _Atomic int state;    /* enum ersatz_record_state; relaxed */
    _Atomic bool started; /* a device was started; relaxed */
    _Atomic bool traced;  /* the trace is filled; relaxed */
    _Atomic uint64_t
        seed;          /* that the device was started with; relaxed; means something once started is set */
    char refused[240]; /* why a device could not be started, when that was tried last */
    char program[64];  /* what the process is called (comm) */
};

/* Plain data. Without a file it lies in the process's own memory. */
struct ersatz_record {
    struct ersatz_record_head head;
    struct ersatz_stats stats;
    struct ersatz_findings findings; /* zeroed: nobody checks */
    struct ersatz_trace trace; /* the largest part, and last: where nothing is traced, it takes no memory */
};

/* Where a process has its record. */
struct ersatz_record_place {
    struct ersatz_record *record;
    char *directory; /* of the file; NULL: there is none */
    int fd;          /* of the directory, for a process that changes its root or its user */
    dev_t device;    /* which it is, to notice that a program which closes all descriptors has closed it, */
    ino_t inode;     /* and given the number to something else */
};

/* An empty record in the process's own memory. It stays for the life of the process. False: no memory. */
bool ersatz_record_init(struct ersatz_record_place *place);

/* Whether a record can be kept in this directory (a descriptor; O_PATH will do): a page of a file that is
 * there once must stay there, however full the disk becomes, since a write to one that does not ends the
 * process. So it is on tmpfs, ext4, xfs, and overlayfs over them, and not on btrfs, ZFS and their like. */
bool ersatz_record_suits(int directory);

/*
 * From now on keep the record in a new file DIRECTORY/PID.record (DIRECTORY/PID-NUMBER.record, with a random
 * number, if that is there); what it says so far goes along. The directory must exist and suit. A forked
 * child makes one of its own in it: see ersatz_record_after_fork(). A directory that it is in already changes
 * nothing. Counts that other threads add meanwhile may be missed: call it early. False: the record stays
 * where it was; *error says why.
 */
bool ersatz_record_keep(struct ersatz_record_place *place, const char *directory, struct ersatz_error *error);

/* In the child of a fork, before anything is counted: an empty record of the child's own at the same address,
 * in a file if the parent's was. False: it is in the child's own memory, since no file could be made; *error
 * says why. (If there is no memory either, the child counts in its parent's: the program matters more.) */
bool ersatz_record_after_fork(struct ersatz_record_place *place, struct ersatz_error *error);

/* Have room for the trace now, so that a file system which is full later ends nobody. False: there is none,
 * and the trace must not be used; *error says why. */
bool ersatz_record_reserve_trace(const struct ersatz_record_place *place, struct ersatz_error *error);

/*
 * Read the record of this name in the directory into memory that the caller frees with free(); *owner is the
 * user whose file it is. NULL: *error says why. The file may be anybody's: it is not followed if it is a
 * link, no more is read than a record's size, its texts are fit for a terminal, and its name is that of the
 * process it tells of. Its numbers may be anything. Without the trace, that is empty; 1 MiB less is read.
 */
struct ersatz_record *ersatz_record_read(
    int directory, const char *name, bool with_trace, uid_t *owner, struct ersatz_error *error);

/* Make a text of `size` bytes fit for a terminal: end it, and put a question mark in place of each byte that
 * is neither printable nor part of UTF-8. Newlines stay where the text may have lines. */
void ersatz_text_clean(char *text, size_t size, bool lines);

#endif
