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
    _Atomic bool fastest;      /* the card gets only what it does sooner than the calling core */
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
    bool check;                              /* check the application, */
    struct ersatz_check_limits check_limits; /* by these limits */
    uint64_t seed;
    struct ersatz_profile profile; /* all zero: none */
    struct ersatz_faults faults;   /* all zero: none */
};

struct card_policy *card_policy(void);
struct ersatz_stats *card_stats(void);

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

/* What was found so far; NULL: nobody looks. */
const struct ersatz_findings *card_findings(void);

/* Trace the devices that start from now on, and write the trace to this file when one stops (takes a copy).
 * NULL: leave it in the record. ERSATZ_TOO_LATE as card_set(), or ERSATZ_NO_MEMORY. */
enum ersatz_result card_set_trace(const char *path);

/* Keep the record in a file of this directory. ERSATZ_TOO_LATE as card_set(), or ERSATZ_BAD_CONFIG, and then
 * *error says why. */
enum ersatz_result card_keep_record(const char *directory, struct ersatz_error *error);
bool card_has_record(void);

/* Stop the device, if it runs, and write the statistics. The next operation starts another. Where a command
 * uses it (a callback that ENGINE_ctrl(POLL) runs may have come here), that is when the command is done. */
void card_stop(void);

/* Count a user in, and out again; when the last one leaves, as card_stop(). */
void card_use(void);
void card_leave(void);

/*
 * For a command, which needs no functional reference: the running device, started if need be, which stays
 * until card_release_held(). When the last functional reference has gone, no command starts the device but
 * one that is to start it anew, and this fails in words. On failure there is nothing to let go of.
 */
enum ersatz_result card_hold(struct ersatz_device **device, bool anew, struct ersatz_error *error);
void card_release_held(void);

/* Handlers for fork and exit, once for the process. False: out of memory. */
bool card_set_up(void);

/* Set the card's settings, files and profile back to their defaults; of the policy only what follows from
 * them. Not while the device runs. */
void card_reset_settings(void);

/*
 * For an operation that was cut short because the device stopped. Where that is because another thread has
 * called exit(3), it returns after a second, which the process does not commonly live to see. libcrypto is
 * being taken apart meanwhile, and what the operation's caller does in it next, freeing a context say, could
 * end the process by a signal instead of with its exit code. It does return, for a handler of exit(3) may be
 * waiting for the calling thread.
 */
void card_linger_if_process_ends(void);

/* Whether exit(3) or OPENSSL_cleanup(3) has stopped the card for good. What handlers of exit(3) that are
 * older than the engine still ask for, the calling core computes, as libcrypto would. */
bool card_process_ends(void);

/* Whether libcrypto has been taken apart, or is just being. */
bool card_is_past_cleanup(void);

#endif
