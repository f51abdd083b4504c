/* SPDX-License-Identifier: Apache-2.0 */
/* The card's settings, the files that it writes, and its state for readers without the lock. */
#include <stdlib.h>
#include <string.h>

#include "card_inside.h"
#include "ersatz/control_socket.h"
#include "ersatz/crash.h"

struct card card = {
    .lock = ERSATZ_LOCK_INITIALIZER,
};

struct card_policy *card_policy(void)
{
    return &card.policy;
}

struct ersatz_stats *card_stats(void)
{
    return &card.place.record->stats;
}

void card_note_asked(void)
{
    _Atomic uint64_t *asked = &card_stats()->asked;

    if (atomic_load_explicit(asked, memory_order_relaxed) == 0) /* the line stays with all who read it */
        atomic_store_explicit(asked, 1, memory_order_relaxed);
}

/* Copy the settings that are also read without the lock. Under the card's lock, while no device runs. */
static void apply_settings(void)
{
    atomic_store(&card.external, card.settings.external_polling);
    atomic_store(&card.policy.polling.timed, card.settings.timed);
    atomic_store(&card.policy.software, card.settings.profile.software);
}

void card_reset_settings(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&card.lock, &locked);
    atomic_fetch_and(&card.uses, ~GIVEN_BACK); /* of the ENGINE before */
    memset(&card.settings, 0, sizeof(card.settings));
    ersatz_check_limits_init(&card.settings.check_limits);
    apply_settings();
    card.traced = false;
    report_reset(&card.report);
    free(atomic_exchange(&card.next_profile, NULL));
    ersatz_unlock(&locked);
}

static void set_if_open(unsigned *size, unsigned profile, unsigned fallback)
{
    if (*size == 0)
        *size = profile != 0 ? profile : fallback;
}

void card_resolve(struct card_settings *settings)
{
    const struct ersatz_profile *profile = &settings->profile; /* all zero where there is none */
    struct ersatz_config defaults;

    ersatz_config_init(&defaults, NULL);
    set_if_open(&settings->workers, profile->workers, defaults.workers);
    set_if_open(&settings->instances, profile->instances, defaults.instances);
    set_if_open(&settings->ring_depth, profile->ring_depth, defaults.ring_depth);
}

struct ersatz_config card_configuration(const struct card_settings *settings)
{
    struct ersatz_config config;

    ersatz_config_init(&config, card_stats());
    config.workers = settings->workers;
    config.instances = settings->instances;
    config.ring_depth = settings->ring_depth;
    config.external_polling = settings->external_polling;
    config.keeps_in_flight = card.keeps_in_flight;
    config.seed = settings->seed;
    config.profile = ersatz_profile_is_none(&settings->profile) ? NULL : &settings->profile;
    config.faults = settings->faults.count > 0 ? &settings->faults : NULL;
    config.polling = &card.policy.polling;
    config.steered = card.report.control != NULL;
    return config;
}

void card_take_next_profile(void)
{
    struct ersatz_profile *profile = atomic_exchange(&card.next_profile, NULL);

    if (profile == NULL)
        return;
    card.settings.profile = *profile;
    apply_settings();
    free(profile);
}

_Atomic int *card_keep_in_flight(enum ersatz_flight kind)
{
    struct ersatz_device *device;
    struct ersatz_locked locked;

    ersatz_lock(&card.lock, &locked);
    device = atomic_load_explicit(&card.device, memory_order_acquire);
    card.keeps_in_flight = true;
    if (device != NULL)
        ersatz_device_keep_in_flight(device);
    ersatz_unlock(&locked);
    return &card_stats()->in_flight[kind];
}

static bool is_running(void)
{
    return atomic_load(&card.device) != NULL;
}

enum ersatz_result card_set(size_t offset, size_t size, const void *value)
{
    struct card_settings now, then;
    struct ersatz_locked locked;
    bool ok = true;

    ersatz_lock(&card.lock, &locked);
    now = then = card.settings;
    memcpy((char *)&then + offset, value, size);
    if (is_running()) {
        card_resolve(&now);
        card_resolve(&then);
        ok = memcmp((const char *)&now + offset, (const char *)&then + offset, size) == 0;
    } else {
        card.settings = then;
        apply_settings();
    }
    ersatz_unlock(&locked);
    return ok ? ERSATZ_OK : ERSATZ_TOO_LATE;
}

bool card_polls_externally(void)
{
    return atomic_load(&card.external);
}

unsigned card_instances(void)
{
    struct card_settings settings;
    struct ersatz_locked locked;

    ersatz_lock(&card.lock, &locked);
    settings = card.settings;
    ersatz_unlock(&locked);
    card_resolve(&settings);
    return settings.instances;
}

enum ersatz_result card_set_stats_file(const char *path)
{
    struct ersatz_locked locked;
    bool ok;

    ersatz_lock(&card.lock, &locked);
    ok = report_set_file(&card.report.stats_file, path);
    ersatz_unlock(&locked);
    return ok ? ERSATZ_OK : ERSATZ_NO_MEMORY;
}

static bool is_traced_to(const char *path)
{
    const char *file = card.report.trace_file;

    return card.traced && (path == NULL || (file != NULL && strcmp(file, path) == 0));
}

enum ersatz_result card_set_trace(const char *path)
{
    struct ersatz_locked locked;
    enum ersatz_result result = ERSATZ_OK;

    ersatz_lock(&card.lock, &locked);
    if (is_running()) {
        result = is_traced_to(path) ? ERSATZ_OK : ERSATZ_TOO_LATE;
    } else if (path != NULL && !report_set_file(&card.report.trace_file, path)) {
        result = ERSATZ_NO_MEMORY;
    } else {
        card.traced = true;
        atomic_store_explicit(&card.place.record->head.traced, true, memory_order_relaxed);
    }
    ersatz_unlock(&locked);
    return result;
}

enum ersatz_result card_keep_record(const char *directory, struct ersatz_error *error)
{
    struct ersatz_locked locked;
    enum ersatz_result result = ERSATZ_OK;
    bool is_there;

    ersatz_lock(&card.lock, &locked);
    is_there = card.place.directory != NULL && strcmp(card.place.directory, directory) == 0;
    if (is_running())
        result = is_there ? ERSATZ_OK : ERSATZ_TOO_LATE;
    else if (!ersatz_record_keep(&card.place, directory, error))
        result = ERSATZ_BAD_CONFIG;
    ersatz_unlock(&locked);
    return result;
}

enum ersatz_result card_set_control(const char *path, struct ersatz_error *error)
{
    struct ersatz_locked locked;
    enum ersatz_result result = ERSATZ_OK;
    char expanded[4096];

    ersatz_lock(&card.lock, &locked);
    report_expand(&card.report, path, expanded, sizeof(expanded));
    if (is_running())
        result = card.report.control != NULL && strcmp(card.report.control, path) == 0 ? ERSATZ_OK
                                                                                       : ERSATZ_TOO_LATE;
    else if (!ersatz_control_path_suits(expanded, error))
        result = ERSATZ_BAD_CONFIG;
    else if (!report_set_file(&card.report.control, path))
        result = ERSATZ_NO_MEMORY;
    ersatz_unlock(&locked);
    return result;
}

void card_set_next_profile(struct ersatz_profile *profile)
{
    free(atomic_exchange(&card.next_profile, profile));
}

bool card_has_record(void)
{
    struct ersatz_locked locked;
    bool has;

    ersatz_lock(&card.lock, &locked);
    has = card.place.directory != NULL;
    ersatz_unlock(&locked);
    return has;
}

void card_keep_crashes(bool keep)
{
    if (keep)
        ersatz_crash_watch(card.place.record, card.place.directory);
    else
        ersatz_crash_unwatch();
}

const struct ersatz_latency *card_latency(void)
{
    return &card.place.record->latency;
}

const struct ersatz_findings *card_findings(void)
{
    /* Acquire: pairs with the release of the one who began them. */
    const struct ersatz_findings *findings = &card.place.record->findings;

    return atomic_load_explicit(&findings->began_ns, memory_order_acquire) != 0 ? findings : NULL;
}
