/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that leaves an operation in the middle: by exit(3) in the handler of a signal, by siglongjmp(3),
 * by cancellation. The process ends with its exit code, the module goes on working and can be given up, and
 * the card does not write to memory that the thread has left. And a handler that uses the module: it does not
 * wait for the thread that it interrupted, and gives back no lock of that one's. Each case runs in a process
 * of its own.
 */
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

#include "child.h"
#include "ersatz/sanitizer.h"
#include "proc.h"
#include "support/card.h"
#include "support/work.h"

/* The address sanitizer does not see that frames on a job's own stack are left: their places stay marked. */
#ifdef ERSATZ_ADDRESS_SANITIZER
#define JUMPS_IN_JOBS false
#else
#define JUMPS_IN_JOBS true
#endif

/* For each child, too: an alarm counts the time for which the machine does something else. */
#define SECONDS 140
#define ENDED 7
#define NOT_REACHED 9

enum way { BY_EXIT, BY_JUMP, BY_USE };

static pthread_t main_thread;
static sigjmp_buf outside;
static enum way way;
static _Atomic long until_signal; /* so many points; 0: no signal */
static long point_in_job;         /* 0: the operation is not in a job */
static bool job_ended;
static const char *settings = ""; /* of the card, beside its size */
static bool locks_only;           /* the points are where a lock is taken or given back */
static struct work *own;          /* what the handler does */
static EVP_PKEY_CTX *verifier;

static void use(void)
{
    CHECK_EQ(work_do(&own), 1);
    EVP_PKEY_free(test_key(own->card));
}

static void leave(int signal)
{
    (void)signal;
    if (way == BY_USE) {
        use();
        return;
    }
    if (way == BY_EXIT)
        exit(ENDED);
    siglongjmp(outside, 1);
}

/* At the point in question, whatever the clock says. */
static void count_down(void)
{
    if (!pthread_equal(pthread_self(), main_thread) ||
        (point_in_job != 0 && (ASYNC_get_current_job() == NULL || job_ended))) /* a jump stays on its stack */
        return;
    if (atomic_load(&until_signal) > 0 && atomic_fetch_sub(&until_signal, 1) == 1)
        raise(SIGUSR1);
}

/* Where libcrypto or the C library may hold a lock of its own: there a handler must not use them. */
static void count_down_outside(void)
{
    if (!locks_only)
        count_down();
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    count_down_outside();
    return malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* In place of the C library's, for the module too: the card's threads are started by it. */
__attribute__((visibility("default"))) int pthread_create(
    pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*run)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    count_down_outside();
    return real(thread, attributes, run, arg);
}

/* Mutexes are the module's alone: libcrypto's locks are others. */
__attribute__((visibility("default"))) int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    int error;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    error = real(mutex);
    if (error == 0)
        count_down();
    return error;
}

__attribute__((visibility("default"))) int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    count_down();
    CHECK_EQ(real(mutex), 0); /* nobody else has given it back */
    return 0;
}

/* After a jump: the thread has no business with the module any more. */
static void give_up(struct card *card, struct work *work, int tasks, int descriptors)
{
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(work_do(&work), 1);
    work_free(work);
    work_free(own);
    EVP_PKEY_CTX_free(verifier);
    card_unload(card);
    while (count_threads() != tasks)
        usleep(100); /* one that stays hangs the test */
    CHECK_EQ(count_descriptors(), descriptors);
    exit(ENDED);
}

enum operation { PRIVATE, PUBLIC, START, FIRST, KEY, JOB };

static int verify(struct work *work)
{
    unsigned char out[WORK_BYTES];
    size_t len = sizeof(out);

    return EVP_PKEY_verify_recover(verifier, out, &len, work->expected, (size_t)work->size);
}

/* A key that is new to the card. */
static void sign_with_new_key(struct work *work)
{
    EVP_PKEY *key = test_key(work->card);

    work_set_key(work, key);
    CHECK_EQ(work_do(&work), 1);
    EVP_PKEY_free(key);
}

/* The jump ends in the job. */
static int leave_in_job(void *arg)
{
    if (sigsetjmp(outside, 1) == 0) {
        atomic_store(&until_signal, point_in_job);
        CHECK_EQ(work_do(arg), 1);
    }
    job_ended = true;
    return 1;
}

static void *end_job(void *job)
{
    job_free(job);
    return NULL;
}

/* The wait context is freed by another thread than the one that left the operation. */
static void sign_in_job(struct work *work, long point)
{
    struct job job;
    pthread_t thread;

    point_in_job = point;
    job_init(&job, BY_FD, leave_in_job, work);
    if (job_run(&job) == ASYNC_PAUSE)
        CHECK_EQ(job_finish(&job), 1);
    point = atomic_exchange(&until_signal, 0);
    CHECK_EQ(pthread_create(&thread, NULL, end_job, &job), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    atomic_store(&until_signal, point);
}

static void child(enum operation operation, long point)
{
    int tasks = count_threads(), descriptors = count_descriptors();
    char commands[300];
    struct card *card;
    struct work *work;

    snprintf(commands, sizeof(commands), "WORKERS:2;INSTANCES:1%s", settings);
    card = card_load(commands);
    work = work_rsa(card, 1);
    test_begin(SECONDS); /* alarms are not inherited */
    main_thread = pthread_self();
    signal(SIGUSR1, leave);
    own = work_rsa(card, 2);
    work_set_key(own, work->key); /* the same key: they share what it keeps */
    verifier = card_key_context(card, work->key, EVP_PKEY_verify_recover_init, RSA_PKCS1_PADDING);
    locks_only = way == BY_USE || operation == FIRST; /* which allocates thousands of times */
    if (operation == FIRST)
        card_command(card, "INIT_ENGINE", NULL);
    else if (operation != START)
        CHECK_EQ(work_do(&work), 1);
    if (operation == JOB) {
        sign_in_job(work, point);
    } else {
        if (sigsetjmp(outside, 1) != 0)
            give_up(card, work, tasks, descriptors);
        atomic_store(&until_signal, point);
        if (operation == START)
            card_command(card, "INIT_ENGINE", NULL);
        else if (operation == PUBLIC)
            CHECK(verify(work) > 0);
        else if (operation == KEY)
            sign_with_new_key(work);
        else
            CHECK_EQ(work_do(&work), 1);
    }
    if (atomic_exchange(&until_signal, 0) > 0)
        exit(NOT_REACHED);
    CHECK(operation == JOB || way == BY_USE); /* else the signal was not delivered */
    give_up(card, work, tasks, descriptors);
}

/* At every point there is, one after the other. */
static void at_every_point(enum operation operation)
{
    long points = 0;
    int status;

    do {
        pid_t pid = fork();

        if (pid == 0)
            child(operation, points + 1);
        status = child_status(pid);
        points += status == ENDED;
    } while (status == ENDED);
    CHECK_EQ(status, NOT_REACHED);
    CHECK(points > 0 || way == BY_USE); /* what takes no lock has none for a handler that uses the module */
}

/* ----------------------------------------------------------------------- a thread that waits for the card */

static unsigned char text[WORK_BYTES], key[16];

static struct card *held;

static void load_held(void)
{
    held = card_load("WORKERS:1;INSTANCES:1;SYNC_OFFLOAD:1;HOLD:compute");
}

static void encrypt(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;

    CHECK(card_cipher_init(held, ctx, "AES-128-CBC", key, key, 1));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)));
    EVP_CIPHER_CTX_free(ctx);
}

static void *interrupt_when_waiting(void *arg)
{
    card_wait_in_flight(held, 1);
    pthread_kill(main_thread, SIGUSR1);
    return arg;
}

static void child_waits(void)
{
    pthread_t thread;

    load_held();
    test_begin(SECONDS); /* alarms are not inherited */
    main_thread = pthread_self();
    signal(SIGUSR1, leave);
    CHECK_EQ(pthread_create(&thread, NULL, interrupt_when_waiting, NULL), 0);
    if (sigsetjmp(outside, 1) == 0) {
        encrypt();
        FAIL("a held operation has returned");
    }
    pthread_join(thread, NULL);
    memset(text, 1, sizeof(text));
    card_command(held, "HOLD", "none");
    card_wait_for(held, "completed", 1);
    for (unsigned i = 0; i < sizeof(text); i++)
        CHECK_EQ(text[i], 1); /* nobody expects anything there any more */
    card_unload(held);
    exit(ENDED);
}

static int left_when_cancelled = -1;

static void note_what_is_left(void *arg)
{
    (void)arg;
    left_when_cancelled = card_number(held, "GET_NUM_REQUESTS_IN_FLIGHT:0");
}

static void *encrypt_cancelled(void *arg)
{
    int before;

    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    pthread_cleanup_push(note_what_is_left, NULL);
    encrypt();
    pthread_testcancel(); /* some C libraries do not look when cancellation is allowed again */
    pthread_cleanup_pop(0);
    return arg;
}

/* It is cancelled, but not before the card has done with its memory. */
static void child_is_cancelled(void)
{
    pthread_t thread;

    test_begin(SECONDS); /* alarms are not inherited */
    load_held();
    CHECK_EQ(pthread_create(&thread, NULL, encrypt_cancelled, NULL), 0);
    card_wait_in_flight(held, 1);
    CHECK_EQ(pthread_cancel(thread), 0);
    usleep(10000); /* for one that does not wait */
    card_command(held, "HOLD", "none");
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(left_when_cancelled, 0);
    card_unload(held);
    exit(ENDED);
}

static void in_child(void (*run)(void))
{
    pid_t pid = fork();

    if (pid == 0)
        run();
    child_exits_with(pid, ENDED);
}

/* Cards that take more locks for an operation: those of the response ring, of a profile, of faults, and of
 * the check of the application. */
static void with_more_locks(void)
{
    static const struct {
        const char *settings;
        enum operation operation;
    } cards[] = {
        {";ENABLE_EXTERNAL_POLLING;PROFILE:qat-c62x", PRIVATE},
        {";FAULTS:ring_full=100%", PRIVATE},
        {";ENABLE_SW_FALLBACK;FAULTS:reset=100%:1ms", JOB},
        {";CHECK:1", JOB},
    };

    for (way = BY_EXIT; way <= BY_USE; way++) {
        for (unsigned i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
            if (cards[i].operation == JOB && way == BY_USE)
                continue; /* the handler would be a second operation of the same job */
            if (cards[i].operation == JOB && way == BY_JUMP && !JUMPS_IN_JOBS)
                continue;
            settings = cards[i].settings;
            at_every_point(cards[i].operation);
        }
    }
}

int main(void)
{
    test_begin(SECONDS);
    CHECK(CRYPTO_set_mem_functions(allocate, reallocate, release));
    RSA_free(test_rsa()); /* made once, for all children */
    for (way = BY_EXIT; way <= BY_USE; way++) {
        at_every_point(PRIVATE);
        at_every_point(PUBLIC);
        at_every_point(START);
        at_every_point(FIRST);
        if (way != BY_JUMP || JUMPS_IN_JOBS)
            at_every_point(JOB);
        if (way != BY_JUMP) /* which would leave the new key behind, with its reference to the module */
            at_every_point(KEY);
        if (way != BY_USE)
            in_child(child_waits);
    }
    with_more_locks();
#ifndef ERSATZ_ADDRESS_SANITIZER /* which loses its way on a stack that was cancelled at any instruction */
    in_child(child_is_cancelled);
#else
    (void)child_is_cancelled;
#endif
    return 0;
}
