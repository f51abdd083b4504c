/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application: a thread with jobs in flight, told of them in the way the plan says, that behaves as badly
 * as the plan says.
 *
 * ASYNC_start_job(3) must be called on the thread that started the job: a fibre remembers that thread's
 * dispatcher. So no job here is resumed on another thread; what may happen on other threads is that it is
 * told (callbacks on the card's threads, POLL on anybody's), and does.
 */
#ifndef ERSATZ_STRESS_APPLICATION_H
#define ERSATZ_STRESS_APPLICATION_H

#include <openssl/async.h>
#include <pthread.h>

#include "memory.h"
#include "plan.h"
#include "question.h"

enum slot_state {
    SLOT_IDLE,
    SLOT_RUNNING, /* on this thread, now */
    SLOT_WAITING, /* paused, and will be told */
    SLOT_RETRYING /* paused, and the ring was full: to be resumed without being told */
};

/* When a job that is to be abandoned is. */
enum doom { DOOM_NONE, DOOM_AT_ONCE, DOOM_AT_RANDOM, DOOM_WHEN_TOLD };

struct slot;

/* The argument of a wait context's callback. Outlives the job: a callback comes for an abandoned job too. */
struct teller {
    struct application *application;
    struct slot *slot;       /* under the inbox's lock: NULL once the job was abandoned */
    _Atomic bool may_come;   /* a job is under way */
    bool is_queued;          /* under the inbox's lock */
    struct teller *next;     /* in the inbox, under its lock */
    struct teller *next_old; /* among those that wait for the end of the round */
    struct random random;    /* of the callback, which never runs twice at once */
};

/* One place for a job. The application's thread owns it. */
struct slot {
    struct application *application;
    enum slot_state state;
    enum doom doom;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *context;
    struct teller *teller;
    struct account *account;
    struct attempt attempt;
    struct pages pages;
    const void *stack;      /* somewhere on the job's */
    int fd;                 /* the wait context's, or -1 */
    bool blocks;            /* the job does not let itself be paused */
    bool has_orphan;        /* the wait context served for a job that was abandoned */
    unsigned waiting_index; /* in application->waiting, where state is WAITING or RETRYING */
};

/* What all threads of a round share; does not change during it. */
struct round {
    const struct plan *plan;
    struct card *card;
    struct card *by_name; /* card, or NULL: it is the default */
    ENGINE *route;        /* the engine; NULL: it is the default, or the card is a provider */
    const struct question *aes, *rsa;
    unsigned aes_count, rsa_count;
    RSA *const *keys;       /* the engine's, for all */
    EVP_PKEY *const *pkeys; /* the provider's */
    int response_fds[64];
    unsigned response_fd_count;
};

struct application {
    const struct round *round;
    unsigned number;
    pthread_t thread;
    pthread_t to_join; /* the same, of the one who joins it */
    struct slot *slots;
    unsigned slot_count;
    unsigned left; /* operations to start */
    unsigned started;
    struct slot **waiting; /* all that are WAITING or RETRYING, in no order */
    unsigned waiting_count, retrying_count;
    struct random random;
    int epoll;
    struct { /* written by whoever runs callbacks */
        pthread_mutex_t lock;
        pthread_cond_t filled;
        struct teller *first;
    } inbox;
    struct teller *old_tellers;
};

/* The thread. arg is the application. */
void *application_run(void *arg);

void application_init(struct application *application, const struct round *round, unsigned number,
    unsigned slots, unsigned operations);

/* After the engine is unloaded: no callback can come any more. */
void application_destroy(struct application *application);

/* ------------------------------------------------------------------------- jobs (job.c), on their thread */

/* Start the next operation of the application in an idle slot. */
void slot_start(struct slot *slot);

/* Resume, whether or not it was told. */
void slot_resume(struct slot *slot);

/* It was told: resume, or abandon. */
void slot_told(struct slot *slot);

/* Take everything away from under the card. */
void slot_abandon(struct slot *slot);

/* Give the wait context back. */
void slot_close_context(struct slot *slot);

/* ------------------------------------------------------------ being told (told_fd.c, told_callback.c) */

/* Wait a moment, resume all that were told. */
void told_by_epoll(struct application *application);
void told_by_poll(struct application *application);
void told_by_trying(struct application *application);
void told_by_queue(struct application *application);
void told_by_polling(struct application *application);

/* The slot's job has paused for the first time on this wait context: watch its descriptor. */
void told_watch_fd(struct slot *slot);

/* Whether the descriptor is readable now. */
bool told_fd_is_readable(int fd);

/* For ASYNC_WAIT_CTX_set_callback(). */
int told_callback(void *teller);

struct teller *teller_new(struct slot *slot);

#endif
