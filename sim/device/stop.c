/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stopping a device. Any thread may ask for it: one that called exit(3) in a signal handler, which
 * interrupted it while it held one of our locks; a thread of the card, in a callback that gives back the last
 * reference; one that holds a lock for which a callback is waiting. So the asking thread only sets a flag,
 * and waits for a while. The first worker does the work: it holds no lock, no other thread waits for it, and
 * it runs none of the application's code.
 *
 * If that takes too long (a callback does not return, a thread has left an operation in the middle), the
 * asking thread goes on. A device that is to be freed is freed by the worker when it gets there; a process
 * that ends leaves threads and memory alone.
 */
#include "stop.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "base/threads.h"
#include "by_hand.h"
#include "callback.h"
#include "device.h"
#include "ersatz/undisturbed.h"
#include "faults.h"
#include "kernels/openssl_context.h"
#include "lend.h"
#include "reaper.h"
#include "timers.h"
#include "watch/check.h"
#include "watch/thread_state.h"

#define MARKS_MAX 100u /* attempts */

/* Devices that are being freed, newest first. Their descriptors are open for as long as they are listed. */
static struct ersatz_lock leaving_lock = ERSATZ_LOCK_INITIALIZER;
static struct ersatz_device *leaving;
/* Those of them whose last thread has not ended yet; sequentially consistent. */
static _Atomic unsigned leaving_count;

/* ------------------------------------------------------------------------------------------------- forks */

void ersatz_device_forget(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->instances_ready; i++)
        instance_forget(&device->instances[i]);
}

static void forget_all(void)
{
    for (; leaving != NULL; leaving = leaving->next_leaving)
        ersatz_device_forget(leaving);
    atomic_store(&leaving_count, 0);
}

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_hold_across_forks(&leaving_lock);
    pthread_atfork(NULL, NULL, forget_all);
}

/* Under the lock. */
static void unlist(const struct ersatz_device *device)
{
    struct ersatz_device **link = &leaving;

    while (*link != NULL && *link != device)
        link = &(*link)->next_leaving;
    if (*link != NULL)
        *link = device->next_leaving;
}

/* ------------------------------------------------------------------------------------- the worker's side */

/* If the thread that ends the process waits no longer, do nothing more: libcrypto may be gone. */
static void pause_if_given_up(const struct ersatz_device *device)
{
    while (atomic_load(&device->given_up))
        pause();
}

void stop_begin(struct ersatz_device *device)
{
    if (device->check != NULL)
        check_settle(
            device->check, device->stopper); /* before requests are cancelled and their jobs signalled */
    /* Sequentially consistent: a submitter pushes, then looks at this flag; the first worker raises it, then
     * empties the rings. One of the two cancels what was pushed: see instance_take_back(). */
    atomic_store(&device->stopping, true);
    device_wake_workers(device);
}

static void stop_reapers(struct ersatz_device *device)
{
    struct instance *caller = device->stopped_by;

    for (unsigned i = 0; i < device->instances_ready; i++) {
        if (&device->instances[i] != caller)
            reaper_stop(&device->instances[i]);
        pause_if_given_up(device);
    }
    sem_post(&device->all_but_caller);
    if (caller != NULL)
        reaper_stop(caller);
    pause_if_given_up(device);
}

/* poster: the first worker's; NULL where there is none. */
static void stop_threads(struct ersatz_device *device, struct poster *poster)
{
    for (unsigned i = 1; i < device->workers_started; i++)
        pthread_join(device->workers[i].thread, NULL);
    if (device->faults != NULL)
        faults_stop(device->faults);
    lend_stop(device, device->lenders_below);
    timers_stop(device->timers); /* which completes what the workers left to the timers */
    pause_if_given_up(device);
    complete_cancel_all(device);
    stop_reapers(device);
    for (unsigned i = 0; i < device->instances_ready; i++)
        reaper_leave(&device->instances[i]);
    /* The application may be waiting at the descriptors of the response rings. */
    for (unsigned i = 0; i < MARKS_MAX && poster != NULL && device_take_marks(device); i++)
        poster_mark(poster);
    device->stopped = true;
}

static void close_descriptors(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->instances_ready; i++)
        instance_close(&device->instances[i]);
    timers_free(device->timers);
}

static void give_up(struct ersatz_device *device)
{
    struct ersatz_locked locked;

    /* With external polling, cancelled requests with callbacks are on response rings that nobody will poll
     * again. */
    for (unsigned i = 0; device->config.external_polling && i < device->instances_ready; i++)
        reaper_drop(&device->instances[i]);
    /* Descriptors go now: a request whose job was abandoned with a callback keeps the memory for ever. */
    ersatz_lock(&leaving_lock, &locked);
    unlist(device);
    close_descriptors(device);
    ersatz_unlock(&locked);
    device_close(device);
}

void stop_end(struct ersatz_device *device, struct poster *poster)
{
    bool give = device->free_when_stopped;

    library_context_disown(); /* callbacks that are still due run here */
    stop_threads(device, poster);
    poster_exit(poster);
    if (!give)
        return;
    give_up(device);
    OPENSSL_thread_stop(); /* before anybody takes libcrypto apart */
    atomic_fetch_sub(&leaving_count, 1);
}

/* ------------------------------------------------------------------------------------- the caller's side */

static void prepare(struct ersatz_device *device, bool free_it)
{
    device->stopper = thread_self();
    device->stopped_by = callback_instance(device);
    device->lenders_below = lend_interrupted();
    device->free_when_stopped = free_it;
}

/* Sequentially consistent: the worker that sees it sees what was prepared. */
static void wake_first_worker(struct ersatz_device *device)
{
    atomic_store(&device->leaving, true);
    device_wake_worker(device, 0);
}

static bool join(pthread_t thread)
{
    int cancel_state;
    bool joined;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    joined = thread_join_patiently(thread);
    pthread_setcancelstate(cancel_state, NULL);
    if (!joined)
        pthread_detach(thread);
    return joined;
}

static void wait_for_all_but_own(struct ersatz_device *device)
{
    for (unsigned i = 0; i < THREAD_PATIENCE; i++) {
        struct timespec until = thread_patience_second();
        int err;

        while ((err = sem_clockwait(&device->all_but_caller, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
            ; /* a signal of the application's */
        if (err == 0)
            return;
    }
}

bool ersatz_device_stop(struct ersatz_device *device)
{
    if (atomic_exchange(&device->asked_to_stop, true))
        return device->stopped;
    prepare(device, false);
    if (device->workers_started == 0) { /* the device failed to open, and was never used */
        stop_begin(device);
        stop_threads(device, NULL);
        return true;
    }
    wake_first_worker(device);
    if (device->stopped_by == NULL && join(device->workers[0].thread))
        return true;
    if (device->stopped_by != NULL)
        wait_for_all_but_own(device);
    atomic_store(&device->given_up, true);
    return false;
}

void ersatz_device_begin_free(struct ersatz_device *device, struct ersatz_ending *ending)
{
    struct ersatz_undisturbed before;
    bool asked = atomic_exchange(&device->asked_to_stop, true);
    struct ersatz_locked locked;

    ending->wait = false;
    if (asked && !device->stopped)
        return; /* a thread of it still runs, and may for ever: all of it is left alone */
    ersatz_undisturbed_begin(&before);
    atomic_fetch_add(&leaving_count, 1);
    ersatz_lock(&leaving_lock, &locked);
    device->next_leaving = leaving;
    leaving = device;
    if (!asked && device->workers_started > 0) {
        prepare(device, true);
        ending->wait = device->stopped_by == NULL;
        ending->thread = device->workers[0].thread;
        /* Under the lock: the worker may come to the end before we have rung its doorbell, and closes that
         * under the lock. */
        wake_first_worker(device);
        ersatz_unlock(&locked);
        if (!ending->wait)
            pthread_detach(ending->thread);
    } else {
        ersatz_unlock(&locked);
        if (!asked) {
            stop_begin(device);
            stop_threads(device, NULL);
        }
        give_up(device);
        atomic_fetch_sub(&leaving_count, 1);
    }
    ersatz_undisturbed_end(&before);
}

void ersatz_device_end_free(const struct ersatz_ending *ending)
{
    if (ending->wait)
        join(ending->thread);
}

void ersatz_device_free(struct ersatz_device *device)
{
    struct ersatz_ending ending;

    if (device == NULL)
        return;
    ersatz_device_begin_free(device, &ending);
    ersatz_device_end_free(&ending);
}

void ersatz_devices_wait_for_end(void)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    /* In a callback the thread belongs to a device that cannot end before it. */
    unsigned own = callback_of_leaving_device() ? 1 : 0;

    for (unsigned i = 0; i < THREAD_PATIENCE * 1000 && atomic_load(&leaving_count) > own; i++)
        nanosleep(&pause, NULL);
}
