/* The one device handle, with its lock beside it. */
#include "card.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ersatz/output.h"
#include "findings.h"
#include "report.h"

static struct {
    /* Held while the device is started, stopped or configured, and across fork(), so that the child finds it
     * free. */
    pthread_mutex_t lock;
    /* NULL or running. Release when it was started, acquire by whoever uses it. */
    struct ersatz_device *_Atomic device;
    _Atomic unsigned users;          /* functional references; sequentially consistent, see card_leave() */
    struct ersatz_device *inherited; /* a parent's, given up; kept so that leak checkers see who has it */
    _Atomic unsigned generation;     /* relaxed: written in a child that has one thread */
    struct ersatz_error refused;     /* result NO_URING: the kernel says no, and will say so again */
    struct ersatz_config config;     /* sizes are 0 where no command set them: see resolve() */
    struct ersatz_profile profile;   /* config.profile points to it, or is NULL */
    struct report report;
    bool exiting;    /* no device is started any more */
    bool ending;     /* exit(3) runs, */
    pthread_t ender; /* in this thread */
    struct card_policy policy;
    struct ersatz_polling polling;
    struct findings_settings check;
    struct ersatz_record_place place; /* of the record; set once, before anything uses the card */
} card = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .generation = 1,
};

#define LINGER_SECONDS 1u
#define POLL_INTERVAL_NS_DEFAULT 10000u /* as in QAT_Engine */

struct card_policy *card_policy(void)
{
    return &card.policy;
}

struct ersatz_polling *card_polling(void)
{
    return &card.polling;
}

struct ersatz_device *card_running_device(void)
{
    return atomic_load_explicit(&card.device, memory_order_acquire);
}

struct ersatz_stats *card_stats(void)
{
    return &card.place.record->stats;
}

unsigned card_generation(void)
{
    return atomic_load_explicit(&card.generation, memory_order_relaxed);
}

void card_renew_after_fork(_Atomic unsigned *generation, void (*renew)(void *), void *arg)
{
    /* Acquire: pairs with the release below; what was renewed is visible. */
    if (atomic_load_explicit(generation, memory_order_acquire) == card_generation())
        return;
    pthread_mutex_lock(&card.lock);
    if (atomic_load_explicit(generation, memory_order_relaxed) != card_generation()) {
        renew(arg);
        atomic_store_explicit(generation, card_generation(), memory_order_release);
    }
    pthread_mutex_unlock(&card.lock);
}

static void before_fork(void)
{
    struct ersatz_device *device;

    pthread_mutex_lock(&card.lock);
    device = atomic_load(&card.device);
    if (device != NULL)
        ersatz_device_forking(device);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&card.lock);
}

static enum ersatz_result open_device(struct ersatz_device **device, struct ersatz_error *error);

/* The child's own device, before the child can forbid itself threads. Only on demand: most children become
 * another program at once. Where it fails, the first operation tries again and says why. Under the card's
 * lock. */
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

    if (device != NULL) {
        ersatz_device_forget(device);
        card.inherited = device;
        atomic_store(&card.device, NULL);
    }
    atomic_fetch_add_explicit(&card.generation, 1, memory_order_relaxed);
    /* What the parent did is in the parent's. */
    if (!ersatz_record_after_fork(&card.place, &error))
        ersatz_say("%s", error.text);
    if (card.config.trace != NULL)
        atomic_store_explicit(&card.place.record->head.traced, true, memory_order_relaxed);
    if (device != NULL && atomic_load(&card.policy.after_fork))
        start_in_child();
    pthread_mutex_unlock(&card.lock);
}

/* Under the card's lock. */
static void leave_reports(void)
{
    if (card.place.record == NULL) /* a load for which there was no memory */
        return;
    if (card.place.directory == NULL) /* whoever wants the record, reads in it what was found */
        findings_say(&card.check, &card.place.record->findings);
    report_write(&card.report, card.place.record);
}

/* Under the card's lock; the device was taken out of the card. */
static void stop(struct ersatz_device *device)
{
    card.refused.result = ERSATZ_OK; /* another start may find another kernel setting */
    ersatz_device_free(device);
    leave_reports();
}

void card_stop(void)
{
    pthread_mutex_lock(&card.lock);
    stop(atomic_exchange(&card.device, NULL));
    pthread_mutex_unlock(&card.lock);
}

void card_use(void)
{
    atomic_fetch_add(&card.users, 1);
}

void card_leave(void)
{
    struct ersatz_device *device;

    if (atomic_fetch_sub(&card.users, 1) != 1)
        return;
    pthread_mutex_lock(&card.lock);
    /*
     * Another thread may be a user again by now, with work on the way to the card. It counts itself, then
     * looks for the device; we take the device out, then look at the count: sequential consistency forbids
     * that both miss. Who found no device waits for the lock, and finds it put back.
     */
    device = atomic_exchange(&card.device, NULL);
    if (atomic_load(&card.users) == 0)
        stop(device);
    else
        atomic_store(&card.device, device);
    pthread_mutex_unlock(&card.lock);
}

/*
 * The process ends, or libcrypto is about to be cleaned up: join every thread before what they use goes away.
 * The memory stays: another thread of the application may be in the middle of an operation. Under the card's
 * lock.
 */
static void stop_for_good(void)
{
    struct ersatz_device *device = atomic_load(&card.device);

    if (card.exiting)
        return;
    card.exiting = true;
    if (device != NULL)
        ersatz_device_stop(device);
    leave_reports();
    atomic_store_explicit(&card.place.record->head.state, ERSATZ_RECORD_ENDED, memory_order_relaxed);
}

static void stop_at_cleanup(void)
{
    pthread_mutex_lock(&card.lock);
    stop_for_good();
    pthread_mutex_unlock(&card.lock);
}

static void stop_at_exit(void)
{
    pthread_mutex_lock(&card.lock);
    card.ending = true;
    card.ender = pthread_self();
    stop_for_good();
    pthread_mutex_unlock(&card.lock);
}

void card_linger_if_process_ends(void)
{
    unsigned left = LINGER_SECONDS;
    bool stay;

    pthread_mutex_lock(&card.lock);
    stay = card.ending && !pthread_equal(card.ender, pthread_self());
    pthread_mutex_unlock(&card.lock);
    while (stay && left > 0)
        left = sleep(left); /* which a signal may interrupt */
}

/* Each handler once, however often a load fails: a lock that is taken twice before a fork is never had. */
bool card_set_up(void)
{
    static bool at_fork, at_cleanup, at_end;

    pthread_mutex_lock(&card.lock);
    if (card.report.first_process == 0)
        card.report.first_process = getpid();
    if (card.place.record == NULL && !ersatz_record_init(&card.place)) {
        pthread_mutex_unlock(&card.lock);
        return false;
    }
    if (!at_fork)
        at_fork = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    /* The one for exit(3) is registered after libcrypto's own and so runs before it. */
    if (!at_cleanup)
        at_cleanup = OPENSSL_atexit(stop_at_cleanup);
    if (at_cleanup && !at_end)
        at_end = atexit(stop_at_exit) == 0;
    pthread_mutex_unlock(&card.lock);
    return at_fork && at_cleanup && at_end;
}

void card_set_defaults(void)
{
    pthread_mutex_lock(&card.lock);
    memset(&card.profile, 0, sizeof(card.profile));
    ersatz_config_init(&card.config, card_stats());
    card.config.workers = card.config.instances = card.config.ring_depth = 0;
    card.config.polling = &card.polling;
    atomic_store(&card.polling.timed, false);
    atomic_store(&card.polling.interval_ns, POLL_INTERVAL_NS_DEFAULT);
    atomic_store(&card.polling.timeout_ms, 0);
    atomic_store(&card.policy.fallback, false);
    atomic_store(&card.policy.sync_offload, false);
    atomic_store(&card.policy.fastest, false);
    atomic_store(&card.policy.here, 0);
    atomic_store(&card.policy.after_fork, false);
    atomic_store(&card.policy.spin, false);
    atomic_store(&card.policy.max_retries, -1);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    findings_reset(&card.check);
    report_reset(&card.report);
    pthread_mutex_unlock(&card.lock);
}

static void set_if_open(unsigned *size, unsigned profile, unsigned fallback)
{
    if (*size == 0)
        *size = profile != 0 ? profile : fallback;
}

/* What a command set wins, then comes the profile, whichever was given first. Under the card's lock. */
static struct ersatz_config resolve(const struct ersatz_config *commands)
{
    struct ersatz_config config = *commands, defaults;
    const struct ersatz_profile *profile = &card.profile; /* all zero where there is none */

    ersatz_config_init(&defaults, NULL);
    set_if_open(&config.workers, profile->workers, defaults.workers);
    set_if_open(&config.instances, profile->instances, defaults.instances);
    set_if_open(&config.ring_depth, profile->ring_depth, defaults.ring_depth);
    return config;
}

/* Under the card's lock. */
static enum ersatz_result open_device(struct ersatz_device **device, struct ersatz_error *error)
{
    struct ersatz_config config;
    struct ersatz_record_head *head = &card.place.record->head;
    enum ersatz_result result;

    findings_begin(&card.check, &card.place.record->findings, &card.config);
    config = resolve(&card.config);
    if (config.trace != NULL && !ersatz_record_reserve_trace(&card.place, error)) {
        ersatz_say("TRACE: %s; going on without", error->text);
        config.trace = NULL;
    }
    result = ersatz_device_open(&config, device, error);
    if (result == ERSATZ_OK) {
        atomic_store_explicit(&head->seed, config.seed, memory_order_relaxed);
        atomic_store_explicit(&head->started, true, memory_order_relaxed);
    } else {
        memcpy(head->refused, error->text, sizeof(head->refused));
    }
    return result;
}

enum ersatz_result card_device(struct ersatz_device **out, struct ersatz_error *error)
{
    /* Pairs with the release below: the device's contents are visible. Sequentially consistent: see
     * card_leave().
     */
    struct ersatz_device *device = atomic_load(&card.device);
    enum ersatz_result result = ERSATZ_OK;

    if (device == NULL) {
        pthread_mutex_lock(&card.lock);
        device = atomic_load_explicit(&card.device, memory_order_relaxed);
        if (card.exiting) {
            result = error->result = ERSATZ_STOPPED;
            snprintf(error->text, sizeof(error->text), "the process is ending");
        } else if (device == NULL && card.refused.result == ERSATZ_NO_URING) {
            *error = card.refused;
            result = error->result;
        } else if (device == NULL) {
            result = open_device(&device, error);
            if (result == ERSATZ_NO_URING)
                card.refused = *error;
            atomic_store_explicit(&card.device, device, memory_order_release);
        }
        pthread_mutex_unlock(&card.lock);
    }
    *out = device;
    return result;
}

enum ersatz_result card_probe(struct ersatz_error *error)
{
    return atomic_load(&card.device) != NULL ? ERSATZ_OK : ersatz_device_probe(error);
}

/*
 * What may be set before the device starts only, may be repeated while it runs: a server that reads its
 * configuration again gives every command again. Each of the following takes the card's lock, and answers
 * whether the setting is in force now.
 */

static bool is_running(void)
{
    return atomic_load(&card.device) != NULL;
}

static bool has_same_numbers(const struct ersatz_config *commands)
{
    struct ersatz_config now = resolve(&card.config), then = resolve(commands);

    return now.workers == then.workers && now.instances == then.instances &&
           now.ring_depth == then.ring_depth && now.external_polling == then.external_polling;
}

bool card_configure(void (*change)(struct ersatz_config *config, unsigned value), unsigned value)
{
    struct ersatz_config config;
    bool ok;

    pthread_mutex_lock(&card.lock);
    config = card.config;
    change(&config, value);
    ok = !is_running() || has_same_numbers(&config);
    if (!is_running())
        card.config = config;
    pthread_mutex_unlock(&card.lock);
    return ok;
}

bool card_configure_with(void (*change)(struct ersatz_config *config, const void *what),
    bool (*is_in_force)(const struct ersatz_config *config, const void *what), const void *what)
{
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = !is_running() || is_in_force(&card.config, what);
    if (!is_running())
        change(&card.config, what);
    pthread_mutex_unlock(&card.lock);
    return ok;
}

struct ersatz_config card_config(void)
{
    struct ersatz_config config;

    pthread_mutex_lock(&card.lock);
    config = resolve(&card.config);
    pthread_mutex_unlock(&card.lock);
    return config;
}

static bool has_profile(const struct ersatz_profile *profile)
{
    if (card.config.profile == NULL)
        return ersatz_profile_is_none(profile);
    return memcmp(&card.profile, profile, sizeof(card.profile)) ==
           0; /* zeroed, both, before they were filled */
}

bool card_set_profile(const struct ersatz_profile *profile)
{
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = !is_running() || has_profile(profile);
    if (!is_running()) {
        card.profile = *profile;
        card.config.profile = ersatz_profile_is_none(profile) ? NULL : &card.profile;
        atomic_store(&card.policy.here, profile->software);
    }
    pthread_mutex_unlock(&card.lock);
    return ok;
}

bool card_set_stats_file(const char *path)
{
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = report_set_file(&card.report.stats_file, path);
    pthread_mutex_unlock(&card.lock);
    return ok;
}

static bool is_traced_to(const char *path)
{
    const char *file = card.report.trace_file;

    return card.config.trace != NULL && (path == NULL || (file != NULL && strcmp(file, path) == 0));
}

enum card_answer card_set_trace(const char *path)
{
    enum card_answer answer = CARD_DONE;

    pthread_mutex_lock(&card.lock);
    if (is_running()) {
        answer = is_traced_to(path) ? CARD_DONE : CARD_TOO_LATE;
    } else if (path != NULL && !report_set_file(&card.report.trace_file, path)) {
        answer = CARD_FAILED;
    } else {
        card.config.trace = &card.place.record->trace;
        atomic_store_explicit(&card.place.record->head.traced, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&card.lock);
    return answer;
}

enum card_answer card_keep_record(const char *directory, struct ersatz_error *error)
{
    enum card_answer answer = CARD_DONE;
    bool is_there;

    pthread_mutex_lock(&card.lock);
    is_there = card.place.directory != NULL && strcmp(card.place.directory, directory) == 0;
    if (is_running())
        answer = is_there ? CARD_DONE : CARD_TOO_LATE;
    else if (!ersatz_record_keep(&card.place, directory, error))
        answer = CARD_FAILED;
    pthread_mutex_unlock(&card.lock);
    return answer;
}

bool card_has_record(void)
{
    bool has;

    pthread_mutex_lock(&card.lock);
    has = card.place.directory != NULL;
    pthread_mutex_unlock(&card.lock);
    return has;
}

bool card_set_check(bool check, uint32_t pause_ns)
{
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = !is_running() || card.check.check == check;
    if (!is_running()) {
        card.check.check = check;
        card.check.pause_ns = pause_ns;
    }
    pthread_mutex_unlock(&card.lock);
    return ok;
}

bool card_set_check_limits(const struct ersatz_check_limits *limits)
{
    const struct ersatz_check_limits *now = &card.check.limits;
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = !is_running() || (now->answer_ms == limits->answer_ms && now->callback_ms == limits->callback_ms &&
                              now->early == limits->early);
    if (!is_running())
        card.check.limits = *limits;
    pthread_mutex_unlock(&card.lock);
    return ok;
}

bool card_set_timed(bool timed)
{
    bool ok;

    pthread_mutex_lock(&card.lock);
    ok = !is_running() || atomic_load(&card.polling.timed) == timed;
    if (!is_running())
        atomic_store(&card.polling.timed, timed);
    pthread_mutex_unlock(&card.lock);
    return ok;
}

const struct ersatz_findings *card_findings(void)
{
    /* Acquire: pairs with the release of the one who began them. */
    const struct ersatz_findings *findings = &card.place.record->findings;

    return atomic_load_explicit(&findings->began_ns, memory_order_acquire) != 0 ? findings : NULL;
}
