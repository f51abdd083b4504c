/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card: the one device of this process, its settings and its statistics. It starts with the first
 * operation that needs it; after a fork the child starts one of its own.
 */
#ifndef ERSATZ_DRIVER_CARD_H
#define ERSATZ_DRIVER_CARD_H

#include <stdbool.h>

#include "ersatz/device.h"
#include "ersatz/faults.h"
#include "ersatz/profile.h"

/* Settings that may change at any time. Operations read each of them by itself, without a lock. */
struct card_policy {
    _Atomic bool fallback;     /* compute on the calling core where the device cannot */
    _Atomic bool sync_offload; /* AES goes to the card outside jobs too */
    _Atomic bool fastest;      /* the card gets only operations that it does faster than the calling core */
    _Atomic bool direct;       /* the card works on the application's memory */
    _Atomic uint32_t software; /* of the profile: operations that the modelled card does not have */
    _Atomic bool after_fork;   /* if the device runs at a fork, the child starts its own at once */
    _Atomic bool spin;         /* a thread that waits for RSA spins instead of sleeping */
    _Atomic int max_retries;   /* of a synchronous request that finds its ring full; -1: it waits in line */
    _Atomic uint32_t pause_ns; /* see struct ersatz_config; for the next device that checks the application */
    struct ersatz_polling polling;
};

/*
 * The settings that are fixed while a device runs. Plain data, zeroed before it is filled, so that a value
 * can be compared byte by byte.
 */
struct card_settings {
    unsigned workers, instances, ring_depth; /* 0: as the profile says, else the default */
    bool external_polling;                   /* callbacks run in POLL alone */
    bool timed;                              /* see struct ersatz_polling */
    bool latency;                            /* count latencies */
    bool check;                              /* check the application, */
    struct ersatz_check_limits check_limits; /* by these limits */
    uint64_t seed;
    struct ersatz_profile profile; /* all zero: none */
    struct ersatz_faults faults;   /* all zero: none */
};

struct card_policy *card_policy(void);
struct ersatz_stats *card_stats(void);

/* Say in the statistics that more was asked for than what libcrypto's random generator asks for. */
void card_note_asked(void);

/* The address of a counter of requests in flight, which this card and all later ones, those of forked
 * children too, keep up to date from now on. */
_Atomic int *card_keep_in_flight(enum ersatz_flight kind);

/* The running device, started if need be. On failure the error says why. */
enum ersatz_result card_device(struct ersatz_device **device, struct ersatz_error *error);

/* The running device, or NULL: nothing is started. */
struct ersatz_device *card_running_device(void);

/* Whether a device could be started, without starting it. */
enum ersatz_result card_probe(struct ersatz_error *error);

/*
 * Set `size` bytes at `offset` of struct card_settings. A server that reads its configuration again gives
 * every command again, so the value in force may be repeated while a device runs: that changes nothing. Any
 * other is ERSATZ_TOO_LATE then.
 */
enum ersatz_result card_set(size_t offset, size_t size, const void *value);

/* Whether the application polls. Takes no lock. */
bool card_polls_externally(void);

/* How many instances the running device has, or the next one will have. */
unsigned card_instances(void);

/* Write the statistics to this file when the device stops. Takes a copy; may fail with ERSATZ_NO_MEMORY. */
enum ersatz_result card_set_stats_file(const char *path);

/* The latencies so far; empty without LATENCY. */
const struct ersatz_latency *card_latency(void);

/* What the check found so far; NULL: the application is not checked. */
const struct ersatz_findings *card_findings(void);

/* Trace the devices that start from now on, and write the trace to this file when one stops (takes a copy).
 * NULL: leave it in the record. ERSATZ_TOO_LATE as card_set(), or ERSATZ_NO_MEMORY. */
enum ersatz_result card_set_trace(const char *path);

/* Keep the record in a file of this directory. ERSATZ_TOO_LATE as card_set(), or ERSATZ_BAD_CONFIG, and then
 * *error says why. */
enum ersatz_result card_keep_record(const char *directory, struct ersatz_error *error);
bool card_has_record(void);

/* Leave the stack of a crash in the record from now on, or no longer. */
void card_keep_crashes(bool keep);

/* Make a control socket at this path (takes a copy; see report_expand()) when a device starts.
 * ERSATZ_TOO_LATE as card_set(), ERSATZ_NO_MEMORY, or ERSATZ_BAD_CONFIG, and then *error says why. */
enum ersatz_result card_set_control(const char *path, struct ersatz_error *error);

/* The profile of the devices that start from now on; the running one keeps its own. Takes the memory, which
 * came from malloc(3). Takes no lock. */
void card_set_next_profile(struct ersatz_profile *profile);

/* Stop the device, if it runs, and write the statistics. The next operation starts another. If a command uses
 * the device, both happen when that command is done: a callback that POLL runs may call this. */
void card_stop(void);

/* Count a functional reference in, and out again. The last one to leave stops the card, as card_stop(). To
 * leave once more does nothing: nginx's asynchronous fork calls the engine's finish function itself when a
 * worker shuts down, and later ENGINE_finish(3), which calls it again. */
void card_use(void);
void card_leave(void);

/*
 * For a command, which needs no functional reference: get the device, started if need be. It stays until
 * card_release_held(). After the last functional reference was dropped, a command must not start the device,
 * and this fails with a message, unless anew says that the command is meant to start it. After a failure, do
 * not call card_release_held().
 */
enum ersatz_result card_hold(struct ersatz_device **device, bool anew, struct ersatz_error *error);
void card_release_held(void);

/* Register the handlers for fork and exit, once for the process. False: out of memory. */
bool card_set_up(void);

/* Set the card's settings, files and profile back to their defaults; of the policy only what follows from
 * them. Not while the device runs. */
void card_reset_settings(void);

/*
 * Call this for an operation that failed because the device has stopped. If the device stopped because
 * another thread called exit(3), this waits for a second; usually the process ends meanwhile. libcrypto is
 * being taken apart in that second, and if the operation's caller went on to use it, to free a context for
 * example, the process could end by a signal instead of with its exit code. The wait is short because an exit
 * handler may be waiting for the calling thread.
 */
void card_linger_if_process_ends(void);

/* Whether no card starts in this process any more, so that the calling core computes: exit(3) or
 * OPENSSL_cleanup(3) has stopped it for good (exit handlers that are older than the engine may still ask for
 * operations), or the process has entered a sandbox. */
bool card_cannot_start(void);

/* Whether OPENSSL_cleanup(3) has begun. */
bool card_is_past_cleanup(void);

#endif
