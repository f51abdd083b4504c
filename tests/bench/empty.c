/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request costs that computes nothing but goes the whole way: it is made, submitted to a ring, taken
 * by a worker, completed, signalled by an eventfd, found by epoll, and finished.
 *
 *   empty [-e] [-j REQUESTS] THREADS WORKERS SECONDS
 *
 * -e: without a card. The threads do the same waits at as many eventfds, which other threads write to:
 * echo.h. So what Linux takes for the threads is known apart.
 *
 * Each thread has an instance of its own and keeps so many requests in flight there, 16 if not told. Prints
 * names and values: requests a second, processor time of the whole process for each request, requests to a
 * batch, and how often a worker went to sleep, io_uring_enter was called and a thread of the process gave up
 * its core, for each request. Where the processor counts them and Linux allows it, also the instructions of
 * all threads outside Linux, for each request.
 */
#include <ersatz/device.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "check.h"
#include "echo.h"
#include "times.h"

#define THREADS_MAX 1024u
#define REQUESTS_MAX ECHO_QUEUE
#define WARM_UP_NS 100000000u

struct slot {
    struct ersatz_op op;
    struct ersatz_waker *waker;
    struct ersatz_request *request;
    int echo_fd;
};

struct submitter {
    _Alignas(64) _Atomic uint64_t done; /* by its own thread */
    unsigned index;
    pthread_t thread;
};

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct submitter submitters[THREADS_MAX];
static unsigned thread_count, worker_count, in_flight = 16;
static bool without_card;
static _Atomic bool ending;

/* A text of no bytes, which no kernel sees. */
static void prepare(struct slot *slot, int epoll)
{
    static const uint8_t key[16] = {7};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};

    if (without_card) {
        slot->echo_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        CHECK(slot->echo_fd >= 0);
        CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, slot->echo_fd, &event), 0);
        return;
    }
    slot->op.kind = ERSATZ_CIPHER;
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &slot->op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(slot->op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
    CHECK_EQ(ersatz_waker_new(&stats, &slot->waker), ERSATZ_OK);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ersatz_waker_fd(slot->waker), &event), 0);
}

static void submit(const struct submitter *own, struct slot *slot)
{
    if (without_card) {
        echo_ask(own->index, slot->echo_fd);
        return;
    }
    CHECK_EQ(ersatz_request_new(device, &slot->op, true, &slot->request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(slot->request, slot->waker), ERSATZ_OK);
}

/* Returns whether the slot's request is done. */
static bool finish(struct slot *slot)
{
    uint64_t one;

    if (without_card)
        return read(slot->echo_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
    if (!ersatz_request_is_done(slot->request))
        return false;
    CHECK_EQ(ersatz_request_finish(slot->request), ERSATZ_OK);
    return true;
}

static void keep_in_flight(struct submitter *own, int epoll)
{
    struct epoll_event events[REQUESTS_MAX];
    unsigned open = in_flight;

    while (open > 0) {
        int count = epoll_wait(epoll, events, (int)in_flight, -1);

        for (int i = 0; i < count; i++) {
            struct slot *slot = events[i].data.ptr;

            if (!finish(slot))
                continue;
            atomic_fetch_add_explicit(&own->done, 1, memory_order_relaxed);
            if (atomic_load_explicit(&ending, memory_order_relaxed))
                open--;
            else
                submit(own, slot);
        }
    }
}

static void *run(void *arg)
{
    struct submitter *own = arg;
    struct slot *slots = calloc(in_flight, sizeof(*slots));
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    CHECK(slots != NULL && epoll >= 0);
    ersatz_thread_bind(own->index);
    for (unsigned i = 0; i < in_flight; i++) {
        prepare(&slots[i], epoll);
        submit(own, &slots[i]);
    }
    keep_in_flight(own, epoll);
    for (unsigned i = 0; i < in_flight; i++) {
        if (without_card) {
            CHECK_EQ(close(slots[i].echo_fd), 0);
            continue;
        }
        ersatz_waker_free(slots[i].waker);
        ersatz_cipher_free(slots[i].op.u.cipher.cipher);
    }
    close(epoll);
    free(slots);
    return NULL;
}

/* ---------------------------------------------------------------------------------------------- measuring */

/* A descriptor that counts those of all threads; -1: not allowed, or no counter. */
static int instructions = -1;

/* Before the other threads are made. */
static void count_instructions(void)
{
    struct perf_event_attr what = {.type = PERF_TYPE_HARDWARE,
        .size = sizeof(what),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1};

    instructions = (int)syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

struct sample {
    uint64_t at_ns, used_ns, done, batches, sleeps, enters, switches, instructions;
};

static struct sample take_sample(void)
{
    struct rusage usage;
    struct sample sample = {.at_ns = time_now(),
        .used_ns = clock_used(),
        .batches = without_card ? echo_batches() : ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES),
        .sleeps = without_card ? echo_sleeps() : ersatz_stats_count(&stats, ERSATZ_COUNTER_SLEEPS),
        .enters = without_card ? echo_batches() : ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS)};

    if (instructions >= 0)
        CHECK_EQ(read(instructions, &sample.instructions, sizeof(sample.instructions)), sizeof(uint64_t));
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    sample.switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
    for (unsigned i = 0; i < thread_count; i++)
        sample.done += atomic_load_explicit(&submitters[i].done, memory_order_relaxed);
    return sample;
}

static void print_between(const struct sample *from, const struct sample *to)
{
    double done = (double)(to->done - from->done);

    printf("rate %.0f\n", done * 1e9 / (double)(to->at_ns - from->at_ns));
    printf("cpu_us %.4f\n", (double)(to->used_ns - from->used_ns) / 1e3 / done);
    printf("batch %.2f\n", done / (double)(to->batches - from->batches));
    printf("sleeps %.4f\n", (double)(to->sleeps - from->sleeps) / done);
    printf("enters %.4f\n", (double)(to->enters - from->enters) / done);
    printf("switches %.4f\n", (double)(to->switches - from->switches) / done);
    if (instructions >= 0)
        printf("instructions %.1f\n", (double)(to->instructions - from->instructions) / done);
}

static void pause_for(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

    CHECK_EQ(nanosleep(&time, NULL), 0);
}

static void measure(uint64_t ns)
{
    struct sample from, to;

    pause_for(ns < 5u * WARM_UP_NS ? ns / 5 : WARM_UP_NS);
    from = take_sample();
    do {
        pause_for(ns);
        to = take_sample(); /* on a busy machine there may be none so far */
    } while (to.done - from.done < thread_count * in_flight || to.batches == from.batches);
    print_between(&from, &to);
}

/* A number from least to most, and nothing else. */
static double number_of(const char *text, double least, double most)
{
    char *rest;
    double number = strtod(text, &rest);

    if (rest == text || *rest != '\0' || !(number >= least && number <= most)) {
        fprintf(stderr, "usage: empty [-e] [-j REQUESTS] THREADS WORKERS SECONDS\n");
        exit(2);
    }
    return number;
}

static bool open_card(void)
{
    struct ersatz_config config;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.workers = worker_count;
    config.instances = thread_count;
    if (ersatz_device_open(&config, &device, &error) != ERSATZ_OK) {
        fprintf(stderr, "the card does not start: %s\n", error.text);
        return false;
    }
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_SLEEPS) < worker_count)
        pause_for(1000000); /* as a card does between its start and its first request */
    return true;
}

int main(int argc, char **argv)
{
    double seconds;

    for (int option; (option = getopt(argc, argv, "+ej:")) != -1;) {
        if (option == 'e')
            without_card = true;
        else
            in_flight = (unsigned)number_of(option == 'j' ? optarg : "", 1, REQUESTS_MAX);
    }
    thread_count = (unsigned)number_of(argc - optind == 3 ? argv[optind] : "", 1, THREADS_MAX);
    worker_count = (unsigned)number_of(argv[optind + 1], 1, ERSATZ_WORKERS_MAX);
    seconds = number_of(argv[optind + 2], 0.001, 1000);
    count_instructions();
    if (without_card)
        echo_open(thread_count, worker_count);
    else if (!open_card())
        return 1;
    for (unsigned i = 0; i < thread_count; i++) {
        submitters[i].index = i;
        CHECK_EQ(pthread_create(&submitters[i].thread, NULL, run, &submitters[i]), 0);
    }
    measure((uint64_t)(seconds * 1e9));
    atomic_store(&ending, true);
    for (unsigned i = 0; i < thread_count; i++)
        CHECK_EQ(pthread_join(submitters[i].thread, NULL), 0);
    if (without_card)
        echo_close();
    else
        ersatz_device_free(device);
    return 0;
}
