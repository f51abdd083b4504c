/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of the application: watches the operations of jobs from submission until they are finished, and
 * writes down what the application does against the contract of ASYNC_WAIT_CTX_new(3) and ASYNC_start_job(3).
 *
 * Most of it stands on facts: what was freed, resumed, called. What is about time is judged by a thread that
 * looks every 20 milliseconds, on a clock of its own that stands still while the process, or the machine, is
 * too busy to run that thread; and what the thread in question waited for a core is taken off. So a loaded
 * machine accuses nobody.
 *
 * All hooks are called with the device's check where there is one, and only by the process that opened the
 * device.
 */
#ifndef ERSATZ_SIM_WATCH_CHECK_H
#define ERSATZ_SIM_WATCH_CHECK_H

#include "ersatz/findings.h"

#include "callers.h"
#include "watched.h"

struct check;

/* NULL: no memory, or no thread. */
struct check *check_start(struct ersatz_findings *findings, uint64_t pause_ns);

/* The device stops: what is open now stays as it is found. stopper: the thread of the application that has it
 * stop, and so will resume nothing. */
void check_settle(struct check *check, pid_t stopper);

/* After all requests are gone. NULL is allowed. */
void check_free(struct check *check);

/* The calling job is about to submit the request. */
void check_submitted(struct check *check, struct watched *request);

/* It is finished, whether it was answered or never accepted. */
void check_finished(struct check *check, struct watched *request);

/* The instance had no room, and its job was told EAGAIN. */
void check_refused(struct check *check, struct watched *request, struct watched_slots slots);

/* The job was resumed, at back_ns, and the request is not done; signal: there had been one, though not of the
 * request's. */
void check_early_resume(struct check *check, struct watched *request, uint64_t back_ns, bool signal);

/* The job was resumed and the request is done. */
void check_answered(struct check *check, struct watched *request);

/* Its wait context goes away, or is given to another request (reused), and it is not finished. */
void check_orphaned(struct check *check, struct watched *request, bool reused);

/* The process forks. */
void check_forking(struct check *check);

/* The calling thread uses the engine, and may be one of the device's in a callback. what: "resumed a job". */
void check_reentry(struct check *check, const char *what);

/* What a thread has done so far, as its callback begins. */
struct callback_times {
    uint64_t now_ns, cpu_ns, waited_ns; /* waited_ns: for a core */
    long sleeps;                        /* how often it slept */
    bool seen;                          /* the kernel tells of waited_ns */
};

/* A callback that runs on a thread of the device. It lies on that thread's stack. */
struct check_callback {
    struct check_callback *next;
    struct callers submitted;
    uint64_t number, at_ns; /* of the request */
    uint32_t operation, bytes;
    pid_t thread;
    uintptr_t function;
    uint64_t serial; /* of the callback */
    struct callback_times began;
    uint64_t late_looks; /* of the watching thread, when it began */
    uint64_t ran_ns;     /* on the check's clock */
    unsigned asleep;     /* at so many looks in a row */
    char sleeps_in[32];  /* which system call, if it was seen asleep */
    bool entered, reported;
    struct ersatz_running_callback *running; /* its place among those that run */
    enum ersatz_finding finding;             /* as what it was reported */
    struct ersatz_sighting *sighting;        /* of that; NULL: none was kept */
};

void check_callback_begins(struct check *check, struct check_callback *callback, struct watched *request);
void check_callback_ends(struct check *check, struct check_callback *callback);

/* The same where the application polls, on its own thread: how long it takes is its own affair, and what
 * counts is only that it runs. By the time it ends, the request may be gone. */
struct ersatz_running_callback *check_polled_callback_begins(struct check *check, struct watched *request);
void check_polled_callback_ends(struct ersatz_running_callback *running);

#endif
