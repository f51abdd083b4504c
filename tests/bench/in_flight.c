/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps so many jobs in flight on one thread, each with one operation after the other, and measures how long
 * each takes from its start to its result. An application as simple as one can be: jobs, wait contexts and
 * epoll.
 *
 *   in-flight [-c COMMANDS] [-i SECONDS] [-n COUNT] OPERATION JOBS SECONDS
 *
 * OPERATION as in operation.h. JOBS: a number; 0 calls without a job, through the engine; "plain" without the
 * engine; "plain-N" without the engine N operations in turn, each with memory of its own as N jobs have: what
 * is more than the caches hold costs plain OpenSSL time, too. COMMANDS are control commands, separated by
 * semicolons. Prints names and values: operations a second, median and 99th percentile in microseconds,
 * processor time of all threads for each operation, and how many of the operations the card and the calling
 * core did, which must come to all of them. -i: afterwards leaves the card alone for so long, and prints how
 * much processor time the process used meanwhile. -n: so many operations to a job, or to a look at the clock,
 * one after the other: what jobs and clock cost is then hidden, and the times are averages.
 */
#include <openssl/async.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <time.h>

#include "check.h"
#include "operation.h"
#include "support/card.h"
#include "times.h"

#define JOBS_MAX 4096
#define EVENTS_MAX 512
#define WARM_UP 0.2 /* seconds, which are not counted */

struct slot {
    struct operation *operation;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *context;
    uint64_t started;
    bool is_polled;
    bool is_warm; /* its first operation has begun, which sets its key up */
};

static struct slot slots[JOBS_MAX];
static struct slot *idle[JOBS_MAX]; /* those that have no job under way */
static unsigned slot_count, idle_count;
static int epoll;
static unsigned in_a_row = 1;
static uint64_t now, end; /* of the clock; nothing starts from the end on */
static struct times times;

static int work(void *arg)
{
    for (unsigned i = 0; i < in_a_row; i++)
        operation_do((*(struct slot **)arg)->operation);
    return 1;
}

/* The engine has made the descriptor at the first pause, and keeps it. */
static void poll_descriptor(struct slot *slot)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    OSSL_ASYNC_FD fd;
    size_t count = 0;

    CHECK(ASYNC_WAIT_CTX_get_all_fds(slot->context, NULL, &count) && count == 1);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(slot->context, &fd, &count));
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    slot->is_polled = true;
}

/* Starts the slot's job, or goes on with it. True: it is done. */
static bool run_job(struct slot *slot)
{
    int result;

    switch (ASYNC_start_job(&slot->job, slot->context, &result, work, &slot, sizeof(slot))) {
    case ASYNC_PAUSE:
        if (!slot->is_polled)
            poll_descriptor(slot);
        return false;
    case ASYNC_FINISH:
        now = time_now();
        times_add(&times, (now - slot->started) / in_a_row);
        return true;
    default:
        ERR_print_errors_fp(stderr);
        FAIL("ASYNC_start_job");
    }
}

/* A slot whose job is done starts the next one, once: if that one does not pause at all, others have their
 * turn. Its first one it starts in any case: what setting up its key takes is not to be counted. */
static void start_next(struct slot *slot)
{
    bool starts = now < end || !slot->is_warm;

    slot->started = now;
    slot->is_warm = true;
    if (!starts || run_job(slot))
        idle[idle_count++] = slot;
}

static void go_on(struct slot *slot)
{
    if (run_job(slot))
        start_next(slot);
}

static void start_idle(void)
{
    unsigned count = idle_count;
    struct slot *waiting[JOBS_MAX];

    memcpy(waiting, idle, count * sizeof(idle[0]));
    idle_count = 0;
    for (unsigned i = 0; i < count; i++) {
        now = time_now();
        start_next(waiting[i]);
    }
}

static void keep_jobs_in_flight(void)
{
    struct epoll_event events[EVENTS_MAX];

    for (now = time_now(); now < end || idle_count < slot_count;) {
        int count;

        if (now < end)
            start_idle();
        if (idle_count == slot_count)
            continue;
        count = epoll_wait(epoll, events, EVENTS_MAX, now < end && idle_count > 0 ? 0 : -1);
        for (int i = 0; i < count; i++)
            go_on(events[i].data.ptr);
    }
}

/* Each operation in turn. */
static void call_without_jobs(void)
{
    unsigned turn = 0;

    for (now = time_now(); now < end;) {
        uint64_t before = now;

        for (unsigned i = 0; i < in_a_row; i++)
            operation_do(slots[turn].operation);
        turn = (turn + 1) % slot_count;
        now = time_now();
        times_add(&times, (now - before) / in_a_row);
    }
}

struct outcome {
    double seconds, used;
};

/* Runs for so long, and counts anew. */
static struct outcome run(double seconds, bool jobs)
{
    uint64_t begin = time_now(), used = clock_used();

    memset(&times, 0, sizeof(times));
    end = begin + (uint64_t)(seconds * 1e9);
    if (jobs)
        keep_jobs_in_flight();
    else
        call_without_jobs();
    return (struct outcome){
        .seconds = (double)(time_now() - begin) / 1e9, .used = (double)(clock_used() - used) / 1e9};
}

static void prepare(const char *operation, unsigned count)
{
    slot_count = count;
    CHECK(ASYNC_init_thread(JOBS_MAX, 0));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    for (unsigned i = 0; i < slot_count; i++) {
        slots[i].operation = operation_new(operation);
        slots[i].context = ASYNC_WAIT_CTX_new();
        CHECK(slots[i].context != NULL);
        idle[idle_count++] = &slots[i];
    }
}

static void clean_up(void)
{
    for (unsigned i = 0; i < slot_count; i++) {
        ASYNC_WAIT_CTX_free(slots[i].context);
        operation_free(slots[i].operation);
    }
    close(epoll);
    ASYNC_cleanup_thread();
}

static uint64_t operations(void)
{
    return times.count * in_a_row;
}

static void print_outcome(struct outcome outcome)
{
    CHECK(operations() > 0);
    printf("operations %llu\n", (unsigned long long)operations());
    printf("rate %.3f\n", (double)operations() / outcome.seconds);
    printf("median_us %.3f\n", times_quantile(&times, 0.5) / 1e3);
    printf("p99_us %.3f\n", times_quantile(&times, 0.99) / 1e3);
    printf("cpu_us %.4f\n", outcome.used / (double)operations() * 1e6);
}

/* The engine's counters since the run began: every operation has gone through it. */
static void print_counts(struct card *card, long on_card, long in_place)
{
    on_card = card_count(card, "completed") - on_card;
    in_place = card_count(card, "inline") - in_place;
    printf("on_card %ld\ninline %ld\n", on_card, in_place);
    if ((uint64_t)(on_card + in_place) < operations()) {
        fprintf(stderr, "the engine did not do the work: %ld on the card and %ld in place, of %llu\n",
            on_card, in_place, (unsigned long long)operations());
        exit(1);
    }
}

static void print_idle(double seconds)
{
    struct timespec time = {
        .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(long)seconds) * 1e9)};
    uint64_t used;

    sleep(1); /* whatever is still to be tidied up */
    used = clock_used();
    CHECK_EQ(nanosleep(&time, NULL), 0);
    printf("idle_us_per_s %.3f\n", (double)(clock_used() - used) / 1e3 / seconds);
}

static struct card *load_as_default(const char *commands)
{
    struct card *card = card_try(commands);

    if (card != NULL) {
        card_set_default(card);
        return card;
    }
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "the engine does not load: %s\n", getenv("ERSATZ_MODULE"));
    exit(1);
}

static void usage(void)
{
    fprintf(
        stderr, "usage: in-flight [-c COMMANDS] [-i SECONDS] [-n COUNT] OPERATION JOBS|plain[-N] SECONDS\n");
    exit(2);
}

/* A number above or equal to 0, and nothing else. */
static double number_of(const char *text)
{
    char *rest;
    double number = strtod(text, &rest);

    if (rest == text || *rest != '\0' || !(number >= 0 && number <= 100000))
        usage();
    return number;
}

int main(int argc, char **argv)
{
    const char *commands = NULL, *jobs;
    struct card *card = NULL;
    double seconds, idle_seconds = 0;
    bool plain, has_jobs;
    unsigned count;
    long on_card = 0, in_place = 0;

    for (int option; (option = getopt(argc, argv, "+c:i:n:")) != -1;) {
        if (option == 'c')
            commands = optarg;
        else if (option == 'i')
            idle_seconds = number_of(optarg);
        else if (option == 'n')
            in_a_row = (unsigned)number_of(optarg);
        else
            usage();
    }
    if (argc - optind != 3)
        usage();
    jobs = argv[optind + 1];
    plain = strcmp(jobs, "plain") == 0 || strncmp(jobs, "plain-", 6) == 0;
    count = (unsigned)number_of(!plain ? jobs : jobs[5] == '-' ? jobs + 6 : "1");
    has_jobs = !plain && count > 0;
    seconds = number_of(argv[optind + 2]);
    if (count > JOBS_MAX || (plain && count == 0) || seconds == 0 || in_a_row == 0)
        usage();
    if (!plain)
        card = load_as_default(commands);
    prepare(argv[optind], has_jobs || plain ? count : 1);
    run(seconds < 5 * WARM_UP ? seconds / 5 : WARM_UP, has_jobs);
    if (!plain) {
        on_card = card_count(card, "completed");
        in_place = card_count(card, "inline");
    }
    print_outcome(run(seconds, has_jobs));
    if (!plain)
        print_counts(card, on_card, in_place);
    if (idle_seconds > 0)
        print_idle(idle_seconds);
    clean_up();
    if (!plain)
        card_unload(card);
    return 0;
}
