/* SPDX-License-Identifier: Apache-2.0 */
/* See uring.h. */
#include "uring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/threads.h"
#include "locked_memory.h"

#define RESPONSE_SUBMISSIONS 1u /* nothing is ever submitted to a response ring itself */
#define PROBE_SUBMISSIONS 4u

static int read_sysctl_disabled(void)
{
    int value = -1;
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");

    if (file != NULL) {
        if (fscanf(file, "%d", &value) != 1)
            value = -1;
        fclose(file);
    }
    return value;
}

/* Explains the error of io_uring_setup(2). */
static enum ersatz_result explain(int err, struct ersatz_error *error)
{
    struct utsname kernel;
    int disabled;

    if (uname(&kernel) != 0)
        strcpy(kernel.release, "unknown");
    switch (err) {
    case EPERM:
    case EACCES:
        error->result = ERSATZ_NO_URING;
        disabled = read_sysctl_disabled();
        if (disabled > 0)
            snprintf(error->text, sizeof(error->text),
                "io_uring is forbidden: kernel.io_uring_disabled is %d; set it to 0 (sysctl "
                "kernel.io_uring_disabled=0)%s",
                disabled, disabled == 1 ? ", or run in the group kernel.io_uring_group" : "");
        else
            snprintf(error->text, sizeof(error->text),
                "io_uring is forbidden to this process (%s), by a seccomp profile as containers have or by a "
                "security module; allow io_uring_setup, io_uring_enter and io_uring_register there",
                strerror(err));
        break;
    case ENOSYS:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text),
            "io_uring is missing: the kernel (%s) was built without it, or a seccomp profile hides it; Linux "
            "6.1 or "
            "later with CONFIG_IO_URING is needed",
            kernel.release);
        break;
    case EINVAL:
    case EOPNOTSUPP:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text),
            "io_uring of this kernel (%s) is too old: Linux 6.1 or later is needed", kernel.release);
        break;
    case EMFILE:
    case ENFILE:
        error->result = ERSATZ_NO_DESCRIPTORS;
        snprintf(error->text, sizeof(error->text),
            "no file descriptor is free for an io_uring (%s); raise the limit (ulimit -n)", strerror(err));
        break;
    case ENOMEM:
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text),
            "no memory for an io_uring; raise the limit on locked memory (ulimit -l) or lower RING_DEPTH or "
            "WORKERS");
        break;
    default:
        error->result = ERSATZ_NO_URING;
        snprintf(error->text, sizeof(error->text), "io_uring_setup failed: %s", strerror(err));
    }
    return error->result;
}

static enum ersatz_result lacks(const char *what, struct ersatz_error *error)
{
    struct utsname kernel;

    if (uname(&kernel) != 0)
        strcpy(kernel.release, "unknown");
    error->result = ERSATZ_NO_URING;
    snprintf(error->text, sizeof(error->text),
        "io_uring of this kernel (%s) lacks %s: Linux 6.1 or later is needed", kernel.release, what);
    return ERSATZ_NO_URING;
}

/* Check for every operation that the card uses, so that it does not fail at one later. */
static enum ersatz_result check_operations(struct io_uring *ring, struct ersatz_error *error)
{
    static const struct {
        int operation;
        const char *name;
    } needed[] = {
        {IORING_OP_WRITE, "IORING_OP_WRITE"},
        {IORING_OP_MSG_RING, "IORING_OP_MSG_RING"},
    };
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    const char *missing = probe == NULL ? "IORING_REGISTER_PROBE" : NULL;

    if (!(ring->features & IORING_FEAT_CQE_SKIP))
        missing = "IORING_FEAT_CQE_SKIP";
    for (unsigned i = 0; missing == NULL && i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!io_uring_opcode_supported(probe, needed[i].operation))
            missing = needed[i].name;
    }
    io_uring_free_probe(probe);
    return missing == NULL ? ERSATZ_OK : lacks(missing, error);
}

/* Locked memory may be short for a moment only: because another process tries how much is free, or since
 * Linux counts a ring for a while after it or its process is gone: 10 to 30 ms, longer on a busy machine. */
#define TRIES 250
#define TRY_EVERY_NS 1000000

/* All tries were in vain, and none has succeeded since: not worth a wait, as a program that computes without
 * the card asks for it at each operation. Relaxed: a hint. */
static _Atomic bool tried_in_vain;

static enum ersatz_result init(struct io_uring *ring, unsigned entries, struct io_uring_params *params,
    enum uring_need need, struct ersatz_error *error)
{
    static const struct timespec pause = {.tv_nsec = TRY_EVERY_NS};
    const struct io_uring_params asked = *params;
    int tries = 0, err = io_uring_queue_init_params(entries, ring, params);

    if (need == URING_REQUIRED && !atomic_load_explicit(&tried_in_vain, memory_order_relaxed))
        tries = TRIES;
    for (int i = 1; err == -ENOMEM && i < tries; i++) {
        nanosleep(&pause, NULL);
        *params = asked;
        err = io_uring_queue_init_params(entries, ring, params);
    }
    if (need == URING_REQUIRED)
        atomic_store_explicit(&tried_in_vain, err == -ENOMEM, memory_order_relaxed);
    if (err == 0 && need == URING_WELCOME && !locked_memory_is_plenty(ring)) {
        io_uring_queue_exit(ring);
        err = -ENOMEM;
    }
    return err == 0 ? ERSATZ_OK : explain(-err, error);
}

/* Register the ring with the thread, which then knows it by an index, and close the descriptor. The index and
 * the mappings keep the ring. */
static enum ersatz_result give_up_descriptor(struct io_uring *ring, struct ersatz_error *error)
{
    int err = io_uring_register_ring_fd(ring);

    if (err < 0 && err != -EINVAL)
        return explain(-err, error);
    if (err != 1)
        return lacks("IORING_REGISTER_RING_FDS", error);
    close(ring->ring_fd);
    ring->ring_fd = -1;
    return ERSATZ_OK;
}

enum ersatz_result uring_init_worker(
    struct io_uring *ring, unsigned entries, enum uring_need need, struct ersatz_error *error)
{
    /* Only the worker submits, and it waits for completions whenever it enters: Linux need not interrupt it
     * to deliver them. */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    enum ersatz_result result = init(ring, entries, &params, need, error);

    if (result != ERSATZ_OK)
        return result;
    result = check_operations(ring, error);
    if (result == ERSATZ_OK)
        result = give_up_descriptor(ring, error);
    if (result != ERSATZ_OK)
        io_uring_queue_exit(ring);
    else
        (void)io_uring_ring_dontfork(ring); /* else a child keeps the mapping: a few pages */
    return result;
}

enum ersatz_result uring_init_response(
    struct io_uring *ring, unsigned completions, enum uring_need need, struct ersatz_error *error)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = completions};
    enum ersatz_result result = init(ring, RESPONSE_SUBMISSIONS, &params, need, error);

    if (result != ERSATZ_OK)
        return result;
    ring->ring_fd = ring->enter_ring_fd = descriptor_above_standard_streams(ring->ring_fd);
    if (ring->ring_fd < 0) {
        result = explain(errno, error);
        io_uring_queue_exit(ring);
        return result;
    }
    (void)io_uring_ring_dontfork(ring);
    return ERSATZ_OK;
}

struct apart {
    void (*run)(void *);
    void *arg;
};

static void *run_apart(void *arg)
{
    struct apart *apart = arg;

    apart->run(apart->arg);
    return NULL;
}

bool uring_apart(void (*run)(void *arg), void *arg)
{
    struct apart apart = {.run = run, .arg = arg};
    pthread_t thread;
    int cancel;

    if (!thread_start(&thread, run_apart, &apart))
        return false;
    /* Not cancelled while the new thread uses this thread's stack. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    pthread_join(thread, NULL);
    pthread_setcancelstate(cancel, NULL);
    return true;
}

struct probe {
    struct ersatz_error *error;
    enum ersatz_result result;
};

static void probe(void *arg)
{
    struct probe *probe = arg;
    struct io_uring ring;

    probe->result = uring_init_worker(&ring, PROBE_SUBMISSIONS, URING_REQUIRED, probe->error);
    if (probe->result == ERSATZ_OK)
        io_uring_queue_exit(&ring);
}

enum ersatz_result ersatz_device_probe(struct ersatz_error *error)
{
    struct probe asked = {.error = error};

    if (!uring_apart(probe, &asked))
        return threads_explain(error, "a thread that checks for io_uring");
    return asked.result;
}
