/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under load batches of private RSA operations are filled: a worker that finds less than a pass lets others
 * run before it takes it, and while another worker is awake it takes none. The test decides when others have
 * run on the core, so that no time decides anything.
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "card_rsa.h"
#include "device/device.h"

#define PASS 4u
#define LONE 20u
#define SUBMITTERS 3u
#define EACH 100u

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct rsa *rsa;

/* What the workers' yields do: `armed` of them report themselves and wait for an answer. */
static _Atomic int armed, yields, naps;
static _Atomic bool crowded;
static uint64_t batches; /* before a card is given more than its first operation */
static bool first_naps;  /* the worker that stops the device; read after `napped` */
static sem_t yielded, answers, napped, wake_up;

/* How often held requests were released, and at how many of these the worker looked last. */
static _Atomic unsigned releases;
static _Thread_local unsigned looked;

bool __wrap_thread_let_others_run(void);
void __wrap_poster_nap(struct poster *poster, uint64_t ns);
void __real_poster_nap(struct poster *poster, uint64_t ns);
unsigned __wrap_compute_lanes_for(const struct ersatz_op *op);
bool __wrap_device_has_work(struct ersatz_device *card);
bool __real_device_has_work(struct ersatz_device *card);
bool __wrap_device_may_pass(struct ersatz_device *card, enum ersatz_hold where, bool *ticket);
bool __real_device_may_pass(struct ersatz_device *card, enum ersatz_hold where, bool *ticket);

unsigned __wrap_compute_lanes_for(const struct ersatz_op *op)
{
    (void)op;
    return PASS; /* on every machine */
}

/* A worker that has last looked before the requests were released takes none of them before it has looked
 * again. It might else take them without the yield that the test waits for. */
bool __wrap_device_has_work(struct ersatz_device *card)
{
    looked = atomic_load(&releases);
    return __real_device_has_work(card);
}

bool __wrap_device_may_pass(struct ersatz_device *card, enum ersatz_hold where, bool *ticket)
{
    return (where != ERSATZ_HOLD_COMPUTE || looked == atomic_load(&releases)) &&
           __real_device_may_pass(card, where, ticket);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ;
}

bool __wrap_thread_let_others_run(void)
{
    atomic_fetch_add(&yields, 1);
    if (atomic_fetch_sub(&armed, 1) > 0) {
        sem_post(&yielded);
        wait_for(&answers);
    } else {
        atomic_fetch_add(&armed, 1);
    }
    return atomic_load(&crowded);
}

/* The first nap lasts until the test ends it, or as long as it would, when the test waits for none. */
void __wrap_poster_nap(struct poster *poster, uint64_t ns)
{
    const struct worker *worker =
        (const struct worker *)(const void *)((const char *)poster - offsetof(struct worker, poster));

    if (atomic_fetch_add(&naps, 1) > 0) {
        __real_poster_nap(poster, ns);
        return;
    }
    first_naps = worker->index == 0;
    sem_post(&napped);
    wait_for(&wake_up);
    if (atomic_load(&worker->device->leaving))
        poster_sleep(poster, DOORBELL_NEVER); /* the doorbell has rung, or is about to */
}

struct signature {
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    uint8_t out[RSA_BYTES];
};

static void submit(struct signature *signature)
{
    struct ersatz_op op = rsa->op;

    op.u.rsa.out = signature->out;
    memset(signature->out, 0, RSA_BYTES);
    CHECK_EQ(ersatz_request_new(device, &op, true, &signature->request), ERSATZ_OK);
    CHECK_EQ(ersatz_waker_new(&stats, &signature->waker), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(signature->request, signature->waker), ERSATZ_OK);
}

static void finish(struct signature *signature)
{
    struct pollfd told = {.fd = ersatz_waker_fd(signature->waker), .events = POLLIN};

    CHECK_EQ(poll(&told, 1, -1), 1);
    CHECK(ersatz_request_is_done(signature->request));
    CHECK_EQ(ersatz_request_finish(signature->request), ERSATZ_OK);
    CHECK(memcmp(signature->out, rsa->wanted, RSA_BYTES) == 0);
    ersatz_waker_free(signature->waker);
}

static void open_card(unsigned workers)
{
    struct signature first;

    device = card_open(&stats, workers, 0, false);
    submit(&first); /* from here on the card expects private operations */
    finish(&first);
    batches = ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES);
    atomic_store(&naps, 0);
    atomic_store(&yields, 0);
}

/* Submit while nothing may be taken; then let as many be taken. */
static void submit_together(struct signature *signatures, unsigned count, unsigned tickets)
{
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < count; i++)
        submit(&signatures[i]);
    atomic_fetch_add(&releases, 1);
    ersatz_device_release(device, tickets);
}

/* Two operations wait; two more come while others run. They are one batch. */
static void more_come(void)
{
    struct signature signatures[PASS];

    open_card(1);
    atomic_store(&crowded, true);
    atomic_store(&armed, 1);
    submit_together(signatures, PASS / 2, PASS);
    wait_for(&yielded);
    for (unsigned i = PASS / 2; i < PASS; i++)
        submit(&signatures[i]);
    sem_post(&answers);
    for (unsigned i = 0; i < PASS; i++)
        finish(&signatures[i]);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) - batches, 1);
    CHECK_EQ(naps, 0); /* the only worker */
    ersatz_device_free(device);
}

/* Nobody comes: the only worker takes what there is. */
static void none_come(void)
{
    struct signature signatures[2];

    open_card(1);
    submit_together(signatures, 2, 2);
    for (unsigned i = 0; i < 2; i++)
        finish(&signatures[i]);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) - batches, 1);
    CHECK_EQ(yields, 1);
    ersatz_device_free(device);
}

/* Two operations wait for two workers. Both have yielded, and one of them has its answer. */
static void let_one_go_on(struct signature signatures[2])
{
    open_card(2);
    atomic_store(&armed, 2); /* both yield before one goes on */
    submit_together(signatures, 2, 2);
    wait_for(&yielded);
    wait_for(&yielded);
    sem_post(&answers);
}

/* The other one has its answer, too. */
static void let_other_go_on(struct signature signatures[2])
{
    sem_post(&answers);
    for (unsigned i = 0; i < 2; i++)
        finish(&signatures[i]);
}

/* One worker is awake, and has taken nothing yet: the other takes none of the two, and naps. */
static void second_naps(void)
{
    struct signature signatures[2];

    let_one_go_on(signatures);
    while (atomic_load(&naps) == 0 && ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) == batches)
        usleep(100);
    CHECK_EQ(naps, 1);
    wait_for(&napped);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES),
        batches); /* the one that is awake is still in its yield */
    let_other_go_on(signatures);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) - batches, 1);
    CHECK_EQ(naps, 1); /* the last one that is awake does not nap */
    sem_post(&wake_up);
    ersatz_device_free(device);
}

/* How many threads of the process are of that kind. */
static unsigned count_tasks(bool (*is_one)(pid_t task))
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    unsigned count = 0;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL)
        count += entry->d_name[0] != '.' && is_one(atoi(entry->d_name));
    closedir(tasks);
    return count;
}

static bool is_worker(pid_t task)
{
    char path[64], name[32] = "";
    FILE *stream;

    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", task);
    stream = fopen(path, "re");
    if (stream == NULL)
        return false;
    if (fgets(name, sizeof(name), stream) == NULL)
        name[0] = '\0';
    fclose(stream);
    return strcmp(name, ERSATZ_WORKER_THREAD "\n") == 0;
}

static void *free_card(void *arg)
{
    (void)arg;
    ersatz_device_free(device);
    return NULL;
}

/* The device is stopped while its first worker naps: its workers end, however long that takes them. */
static void stopped_in_a_nap(void)
{
    struct signature signatures[2];
    pthread_t stopper;

    do {
        let_one_go_on(signatures);
        wait_for(&napped);
        let_other_go_on(signatures);
        if (!first_naps) {
            sem_post(&wake_up);
            ersatz_device_free(device);
        }
    } while (!first_naps);
    CHECK_EQ(pthread_create(&stopper, NULL, free_card, NULL), 0);
    while (!atomic_load(&device->leaving))
        usleep(100);
    sem_post(&wake_up);
    CHECK_EQ(pthread_join(stopper, NULL), 0);
    while (count_tasks(is_worker) > 0)
        usleep(100);
}

/* One operation after the other expects no company, and waits for none. */
static void alone(void)
{
    struct signature lone;

    open_card(2);
    for (unsigned i = 0; i < LONE; i++) {
        submit(&lone);
        finish(&lone);
    }
    CHECK_EQ(yields, 0);
    ersatz_device_free(device);
}

static void *submit_many(void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    struct signature signatures[2];

    for (unsigned i = 0; i < EACH; i++) {
        unsigned count = 1 + (unsigned)rand_r(&seed) % 2;

        atomic_store(&crowded, rand_r(&seed) % 4 != 0);
        for (unsigned j = 0; j < count; j++)
            submit(&signatures[j]);
        for (unsigned j = 0; j < count; j++)
            finish(&signatures[j]);
    }
    return NULL;
}

/* However the workers rest, no request is left behind. */
static void all_are_served(void)
{
    pthread_t threads[SUBMITTERS];
    unsigned seeds[SUBMITTERS];

    open_card(3);
    atomic_store(&naps, 1); /* they last as long as they would */
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        seeds[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, submit_many, &seeds[i]), 0);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    ersatz_device_free(device);
}

/* The slice of a thread in nanoseconds; 0: Linux does not say (before 6.12), or the thread has ended. */
static uint64_t slice_of(pid_t thread)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice, deadline, period;
    } attributes = {.size = sizeof(attributes)};

    return syscall(SYS_sched_getattr, thread, &attributes, sizeof(attributes), 0) == 0 ? attributes.slice : 0;
}

static bool has_long_slices(pid_t task)
{
    return slice_of(task) > slice_of(0);
}

/* Where Linux gives them and no filter of system calls forbids to ask, a worker has long slices while its
 * batches have several operations, and no longer. */
static void slices_are_long(void)
{
    struct signature signatures[PASS];

    if (slice_of(0) == 0 || sched_getscheduler(0) != SCHED_OTHER || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
        return;
    open_card(1);
    CHECK_EQ(count_tasks(has_long_slices), 0);
    for (unsigned i = 0; i < 2; i++) {
        submit_together(signatures, PASS, PASS);
        for (unsigned j = 0; j < PASS; j++)
            finish(&signatures[j]);
    }
    CHECK_EQ(count_tasks(has_long_slices), 1);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < LONE; i++) {
        submit(&signatures[0]);
        finish(&signatures[0]);
    }
    CHECK_EQ(count_tasks(has_long_slices), 0);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    sem_init(&yielded, 0, 0);
    sem_init(&answers, 0, 0);
    sem_init(&napped, 0, 0);
    sem_init(&wake_up, 0, 0);
    rsa = rsa_new();
    more_come();
    none_come();
    second_naps();
    stopped_in_a_nap();
    alone();
    slices_are_long();
    all_are_served();
    rsa_free(rsa);
    return 0;
}
