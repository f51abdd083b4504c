/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the one device of the process, and stops it: at the last reference, a fork, or the end of the
 * process. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "card_inside.h"
#include "check.h"
#include "ersatz/assertion.h"
#include "ersatz/output.h"
#include "rsa.h"
#include "steering.h"

#define LINGER_SECONDS 1u
#define LOCK_SECONDS 5 /* how long a process that ends waits for the lock */

struct ersatz_device *card_running_device(void)
{
    return atomic_load_explicit(&card.device, memory_order_acquire);
}

/* The card's lock, from before a fork until after it. */
static struct ersatz_locked forking;

static bool hold(bool anew);

/* The check looks up which code forks. That takes the dynamic linker's lock, and a thread that runs a
 * constructor of a library may hold that one while it waits for ours. So this is done without our lock. */
static void note_fork(void)
{
    struct ersatz_device *device;

    if (!hold(false))
        return;
    device = atomic_load(&card.device);
    if (device != NULL)
        ersatz_device_forking(device);
    card_release_held();
}

static void before_fork(void)
{
    struct ersatz_locked locked;

    note_fork();
    ersatz_lock(&card.lock, &locked);
    forking = locked;
}

static void after_fork_in_parent(void)
{
    struct ersatz_locked locked = forking;

    ersatz_unlock(&locked);
}

static enum ersatz_result open_device(struct ersatz_device **device, struct ersatz_error *error);

/* Start the child's device within the fork, before the child can forbid itself threads. Only if
 * INIT_AFTER_FORK asks for it, since most children become another program at once. If it fails, the first
 * operation tries again and reports why. There is no other thread yet. */
static void start_in_child(void)
{
    struct ersatz_device *device;
    struct ersatz_error error;

    if (!card.exiting && open_device(&device, &error) == ERSATZ_OK)
        atomic_store_explicit(&card.device, device, memory_order_release);
}

static void after_fork_in_child(void)
{
    struct ersatz_device *device = atomic_load(&card.device);
    struct ersatz_error error;

    steering_forget();
    if (device != NULL) {
        ersatz_device_forget(device);
        card.inherited = device;
        atomic_store(&card.device, NULL);
    }
    /* The child's statistics and findings go to a record of its own. */
    if (card.place.record != NULL && !ersatz_record_after_fork(&card.place, &error))
        ersatz_say("%s", error.text);
    if (card.traced)
        atomic_store_explicit(&card.place.record->head.traced, true, memory_order_relaxed);
    ersatz_lock_renew(&card.lock); /* the thread that took it has another number here */
    if (device != NULL && atomic_load(&card.policy.after_fork))
        start_in_child();
    ersatz_undisturbed_end(&forking.before);
}

/* Called once, after the module's other fork handlers are registered: so this lock is taken before theirs. */
static bool watches_forks;

static void watch_forks(void)
{
    watches_forks = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

/* Under the card's lock. */
static void leave_reports(void)
{
    if (card.place.record == NULL) /* a load for which there was no memory */
        return;
    if (card.place.directory == NULL) /* with RECORD, the findings are read from the record */
        findings_say(&card.place.record->findings);
    report_write(&card.report, card.place.record);
}

/* Take the device out, and stop it if `may_stop` allows that then; else put it back. Meanwhile a thread that
 * needs the device waits for the lock. */
static void stop_if(bool (*may_stop)(void))
{
    struct ersatz_device *device;
    struct ersatz_ending ending = {.wait = false};
    struct ersatz_locked locked;
    bool stop;

    if (!ersatz_lock(&card.lock, &locked)) {
        /* A crash interrupted the holder, and this is its handler: the device stops when the process ends. */
        ersatz_unlock(&locked);
        return;
    }
    device = atomic_exchange(&card.device, NULL);
    stop = may_stop();
    if (!stop) {
        atomic_store(&card.device, device);
    } else {
        card.refused.result = ERSATZ_OK; /* the administrator may allow io_uring before the next start */
        if (device != NULL) {
            steering_end();
            ersatz_device_begin_free(device, &ending);
        }
    }
    ersatz_unlock(&locked);
    if (!stop)
        return;
    ersatz_device_end_free(&ending); /* its callbacks may use the card, or fork */
    ersatz_lock(&card.lock, &locked);
    leave_reports();
    ersatz_unlock(&locked);
}

static bool is_given_back(void)
{
    return atomic_load(&card.uses) == GIVEN_BACK;
}

/*
 * The count had come down to nobody, and the card was given back. By now another thread may use it again,
 * with a new reference or in a command. It counts itself first and then looks for the device; we take the
 * device out first and then look at the count. Sequential consistency forbids that both miss each other. If a
 * command keeps the card now, it comes here when it is done.
 */
static void stop_if_unused(void)
{
    if (is_given_back())
        stop_if(is_given_back);
}

static bool no_command_has_it(void)
{
    return (atomic_load(&card.uses) & (GIVEN_BACK - HOLD)) == 0;
}

void card_stop(void)
{
    atomic_fetch_or(&card.uses, GIVEN_BACK);
    stop_if(no_command_has_it);
}

void card_use(void)
{
    uint64_t uses = atomic_load(&card.uses);

    while (!atomic_compare_exchange_weak(&card.uses, &uses, (uses + USER) & ~GIVEN_BACK))
        ;
}

void card_leave(void)
{
    uint64_t uses = atomic_load(&card.uses), after;

    do {
        if (uses < USER)
            return;
        after = uses - USER;
        if (after < USER)
            after |= GIVEN_BACK;
    } while (!atomic_compare_exchange_weak(&card.uses, &uses, after));
    if (after == GIVEN_BACK)
        stop_if_unused();
}

/* Count a command in. anew: also if the card was given back; else that is refused (false). */
static bool hold(bool anew)
{
    uint64_t uses = atomic_load(&card.uses), after;

    do {
        if ((uses & GIVEN_BACK) != 0 && !anew)
            return false;
        after = (uses + HOLD) & ~GIVEN_BACK;
    } while (!atomic_compare_exchange_weak(&card.uses, &uses, after));
    return true;
}

enum ersatz_result card_hold(struct ersatz_device **device, bool anew, struct ersatz_error *error)
{
    enum ersatz_result result;

    *device = NULL;
    if (!hold(anew)) {
        snprintf(error->text, sizeof(error->text),
            "the engine's last user has called ENGINE_finish(), and the card has stopped; call ENGINE_init() "
            "or INIT_ENGINE first");
        return error->result = ERSATZ_STOPPED;
    }
    result = card_device(device, error);
    if (result != ERSATZ_OK)
        card_release_held();
    return result;
}

void card_release_held(void)
{
    uint64_t before = atomic_fetch_sub(&card.uses, HOLD);

    ASSERT((before & (GIVEN_BACK - HOLD)) != 0);
    if (before - HOLD == GIVEN_BACK)
        stop_if_unused();
}

/*
 * The process ends, or libcrypto is about to clean up. The card's threads must end before libcrypto, which
 * they use, is gone. The memory stays, because another thread of the application may be in the middle of an
 * operation. The calling thread, or any other, may hold any lock, so every wait here has a time limit: see
 * ersatz_device_stop(). The statistics are written even if a thread has not ended.
 */
static void stop_for_good(void)
{
    struct ersatz_device *device;
    struct ersatz_locked locked;
    bool before;

    /* A thread that is about to start the device has done so before this, or sees `exiting`. */
    ersatz_lock_within(&card.lock, LOCK_SECONDS, &locked);
    before = atomic_exchange(&card.exiting, true);
    device = atomic_load(&card.device);
    if (!before)
        steering_end();
    ersatz_unlock(&locked);
    if (before)
        return;
    if (device != NULL)
        ersatz_device_stop(device);
    ersatz_devices_wait_for_end();
    ersatz_lock_within(&card.lock, LOCK_SECONDS, &locked);
    leave_reports();
    ersatz_unlock(&locked);
    atomic_store_explicit(&card.place.record->head.state, ERSATZ_RECORD_ENDED, memory_order_relaxed);
}

#if OPENSSL_VERSION_MAJOR >= 4
/* It frees nothing when a process exits, and has no handlers for it. */
static bool watch_cleanup(void)
{
    return true;
}
#else
static void stop_at_cleanup(void)
{
    stop_for_good();
    rsa_device_key_keep_all();
    atomic_store(&card.cleaned, true);
}

static bool watch_cleanup(void)
{
    return OPENSSL_atexit(stop_at_cleanup);
}
#endif

static void stop_at_exit(void)
{
    card.ender = pthread_self();
    atomic_store(&card.ending, true); /* release: the above is visible */
    stop_for_good();
}

bool card_cannot_start(void)
{
    return atomic_load(&card.exiting) || atomic_load(&card.confined);
}

bool card_is_past_cleanup(void)
{
    return atomic_load(&card.cleaned);
}

void card_linger_if_process_ends(void)
{
    unsigned left = LINGER_SECONDS;
    bool stay = atomic_load(&card.ending) && !pthread_equal(card.ender, pthread_self()) &&
                !ersatz_thread_is_the_cards(); /* exit(3) waits for such a thread */

    while (stay && left > 0)
        left = sleep(left); /* which a signal may interrupt */
}

/* Registers each handler once, however often a load fails: a second fork handler would take the lock
 * twice. */
bool card_set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static bool at_cleanup, at_end;
    struct ersatz_locked locked;

    pthread_once(&once, watch_forks); /* before the lock is taken: another thread may fork at that moment */
    ersatz_lock(&card.lock, &locked);
    if (card.report.first_process == 0)
        card.report.first_process = getpid();
    if (card.place.record == NULL && !ersatz_record_init(&card.place)) {
        ersatz_unlock(&locked);
        return false;
    }
    /* The handler for exit(3) is registered after libcrypto's, and so runs before it. */
    if (!at_cleanup)
        at_cleanup = watch_cleanup();
    if (at_cleanup && !at_end)
        at_end = atexit(stop_at_exit) == 0;
    ersatz_unlock(&locked);
    return watches_forks && at_cleanup && at_end;
}

/* The control socket can write a trace at any time, so there is one wherever there is a socket. */
static void begin_trace(
    struct ersatz_config *config, struct ersatz_record *record, struct ersatz_error *error)
{
    if (!card.traced && card.report.control == NULL)
        return;
    if (!ersatz_record_reserve_trace(&card.place, error)) {
        ersatz_say("TRACE: %s; continuing without a trace", error->text);
        return;
    }
    config->trace = &record->trace;
    atomic_store_explicit(&record->head.traced, true, memory_order_relaxed);
}

/* Under the card's lock. The path is not on the stack, which is a job's if its operation is the first. */
static void begin_steering(struct ersatz_device *device)
{
    static char path[4096];

    if (card.report.control == NULL)
        return;
    report_expand(&card.report, card.report.control, path, sizeof(path));
    steering_begin(device, path, card.place.record);
}

/* Under the card's lock. The settings are not on the stack either. */
static enum ersatz_result open_device(struct ersatz_device **device, struct ersatz_error *error)
{
    static struct card_settings settings;
    struct ersatz_record *record = card.place.record;
    struct ersatz_config config;
    enum ersatz_result result;

    card_take_next_profile();
    settings = card.settings;
    card_resolve(&settings);
    config = card_configuration(&settings);
    if (settings.check) {
        findings_begin(&record->findings, &settings.check_limits);
        config.findings = &record->findings;
        config.pause_ns = atomic_load(&card.policy.pause_ns);
    }
    begin_trace(&config, record, error);
    config.latency = settings.latency ? &record->latency : NULL;
    config.load = &record->load;
    result = ersatz_device_open(&config, device, error);
    if (result == ERSATZ_OK) {
        atomic_store_explicit(&record->head.seed, config.seed, memory_order_relaxed);
        atomic_store_explicit(&record->head.started, true, memory_order_relaxed);
        begin_steering(*device);
    } else {
        snprintf(record->head.refused, sizeof(record->head.refused), "%.*s",
            (int)sizeof(record->head.refused) - 1, error->text);
    }
    return result;
}

/*
 * Whether the process is in a sandbox such as that of OpenSSH's sshd before the login. It is killed for a
 * system call that its filter does not expect, and the start of a device needs many of them. openat(2) fails
 * there, but libraries use it too often for a filter to kill for it. Outside of a sandbox, every process may
 * open the root directory in this way.
 */
static bool is_confined(void)
{
    int fd = open("/", O_PATH | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd < 0 && (errno == EACCES || errno == EPERM);
}

/* The running device, or one that is started now. */
static enum ersatz_result start_device(struct ersatz_device **device, struct ersatz_error *error)
{
    enum ersatz_result result = ERSATZ_OK;
    struct ersatz_locked locked;

    if (!ersatz_lock(&card.lock, &locked)) {
        result = error->result = ERSATZ_STOPPED;
        snprintf(error->text, sizeof(error->text),
            "a signal handler used the card while it had interrupted the card's start");
    } else if ((*device = atomic_load_explicit(&card.device, memory_order_relaxed)) != NULL &&
               !atomic_load(&card.exiting)) {
        result = ERSATZ_OK;
    } else if (atomic_load(&card.exiting)) {
        result = error->result = ERSATZ_STOPPED;
        snprintf(error->text, sizeof(error->text), "the process is ending");
    } else if (card.refused.result == ERSATZ_NO_URING) {
        *error = card.refused;
        result = error->result;
    } else if (card.confined || is_confined()) {
        atomic_store(&card.confined, true); /* for good: nothing takes a sandbox off */
        result = error->result = ERSATZ_STOPPED;
        snprintf(error->text, sizeof(error->text), "the process is in a sandbox");
    } else {
        result = open_device(device, error);
        if (result == ERSATZ_NO_URING)
            card.refused = *error;
        atomic_store_explicit(&card.device, *device, memory_order_release);
    }
    ersatz_unlock(&locked);
    return result;
}

enum ersatz_result card_device(struct ersatz_device **out, struct ersatz_error *error)
{
    /* Pairs with the release in start_device(): the device's contents are visible. Sequentially consistent:
     * see stop_if_unused(). */
    struct ersatz_device *device = atomic_load(&card.device);
    enum ersatz_result result = ERSATZ_OK;

    if (device == NULL)
        result = start_device(&device, error);
    *out = device;
    return result;
}

enum ersatz_result card_probe(struct ersatz_error *error)
{
    return atomic_load(&card.device) != NULL ? ERSATZ_OK : ersatz_device_probe(error);
}
