/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of the application: watches the operations of jobs from submission until they are finished, and
 * records each breach of the rules in ASYNC_WAIT_CTX_new(3) and ASYNC_start_job(3).
 *
 * Most findings are facts: a context was freed, a job resumed, a function called. Those about time are the
 * work of a thread, the watcher, which looks every 20 milliseconds. Its clock stands still while the process
 * or the machine is too busy to run it, and the time for which the thread in question waited for a core is
 * subtracted. So nobody is accused because the machine is loaded. Nor does the time count for which the card
 * held that thread in a call, but for what the operation itself took: a thread of the card may have no core,
 * the card may be held, or a fault may be injected.
 *
 * Only the process that opened the device may call these functions.
 */
#ifndef ERSATZ_SIM_WATCH_CHECK_H
#define ERSATZ_SIM_WATCH_CHECK_H

#include "ersatz/findings.h"

#include "callers.h"
#include "watched.h"

struct check;

/* NULL: no memory, or no thread. */
struct check *check_start(struct ersatz_findings *findings, uint64_t pause_ns);

/* The device stops: judge the operations that are not finished, and watch no more. stopper: the thread of the
 * application that stops the device, and so resumes nothing from now on. */
void check_settle(struct check *check, pid_t stopper);

/* Free the memory, after all requests are gone. NULL is allowed. */
void check_free(struct check *check);

/* The calling job is about to submit the request. */
void check_submitted(struct check *check, struct watched *request);

/* It is finished, or was never accepted: stop watching it. */
void check_finished(struct check *check, struct watched *request);

/* Its ring was full, and the job's status is EAGAIN. */
void check_refused(struct check *check, struct watched *request, struct watched_slots slots);

/* From now on the card holds the calling thread in a call, or it does so no longer. A thread that jumps out
 * of the call counts as held until its next one. request: NULL, or one for which the thread waits in place of
 * a pause; then it is held only if that job's pauses do not pause, and not if the program resumes the job in
 * a busy loop. own_ns: so much of the time does not count as held; the operation took it. check: NULL is
 * allowed. */
void check_thread_held(struct check *check, const struct watched *request);
void check_thread_released(struct check *check, uint64_t own_ns);

/* The job was resumed at back_ns although the request is not done. signal: there had been a signal, but not
 * the request's. */
void check_early_resume(struct check *check, struct watched *request, uint64_t back_ns, bool signal);

/* The job was resumed and the request is done. */
void check_answered(struct check *check, struct watched *request);

/* Its wait context is freed, or used for another request (reused), before it is finished. */
void check_orphaned(struct check *check, struct watched *request, bool reused);

/* The card works on the application's memory, and the text of the request was changed meanwhile. change: for
 * people. */
void check_buffer_touched(struct check *check, struct watched *request, const char *change);

/* Called before fork(2): record what is in flight. */
void check_forking(struct check *check);

/* The calling thread uses the engine. True: it runs a callback on a thread of the device, which is a finding.
 * action: "resumed a job", for people. */
bool check_reentry(struct check *check, const char *action);

/* The calling thread has resumed the request's job. If that is not the thread on which it was paused, that is
 * a finding. */
void check_resumed(struct check *check, const struct watched *request);

/* What a thread has used up to a moment. */
struct thread_usage {
    uint64_t now_ns;            /* the moment */
    uint64_t cpu_ns, waited_ns; /* processor time; time for which it waited for a core */
    long sleeps;                /* how often it slept */
    bool has_waited_ns;         /* Linux says how long it waited */
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
    struct thread_usage began;
    uint64_t late_looks;                     /* of the watcher, when the callback began */
    uint64_t ran_ns;                         /* so far, on the check's clock */
    unsigned asleep;                         /* for how many looks in a row it slept */
    char sleeps_in[32];                      /* the system call, if it was seen asleep */
    bool entered;                            /* reported as calling back into the engine */
    _Atomic bool returned;                   /* its function; relaxed */
    bool reported;                           /* as slow: */
    enum ersatz_finding finding;             /* with this finding, */
    struct ersatz_sighting *sighting;        /* and this sighting, or NULL */
    struct ersatz_running_callback *running; /* its place in the findings, or NULL */
};

void check_callback_begins(struct check *check, struct check_callback *callback, struct watched *request);
void check_callback_ends(struct check *check, struct check_callback *callback);

/* For a callback on a thread of the application, which polls. It may take as long as it likes; only that it
 * runs is noted. When it ends, the request may be gone. */
struct ersatz_running_callback *check_polled_callback_begins(struct check *check, struct watched *request);
void check_polled_callback_ends(struct ersatz_running_callback *running);

#endif
