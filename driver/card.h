/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card: the one device of this process, its settings and its statistics. It starts with the first
 * operation that needs it; after a fork the child starts one of its own.
 */
#ifndef ERSATZ_DRIVER_CARD_H
#define ERSATZ_DRIVER_CARD_H

#include <stdbool.h>

#include "ersatz/device.h"
#include "ersatz/profile.h"

/* What an operation needs to know; each may be changed at any time, and is read without a lock. */
struct card_policy {
    _Atomic bool fallback;     /* compute on the calling core where the device cannot */
    _Atomic bool sync_offload; /* AES goes to the card outside jobs too */
    _Atomic bool fastest;      /* the card gets only what it does sooner than the calling core */
    _Atomic uint32_t here;     /* a bit 1 << name for each operation that the modelled card has not */
    _Atomic bool after_fork;   /* where the device runs at a fork, the child starts its own at once */
    _Atomic bool spin;         /* a thread that waits for RSA spins */
    _Atomic int max_retries;   /* of synchronous requests on a full ring; -1: waits in line */
};

struct card_policy *card_policy(void);
struct ersatz_polling *card_polling(void);
struct ersatz_stats *card_stats(void);

/* The running device, started if need be. On failure the error says why. */
enum ersatz_result card_device(struct ersatz_device **device, struct ersatz_error *error);

/* The running device, or NULL: nothing is started. */
struct ersatz_device *card_running_device(void);

/* Whether a device could be started, without starting it. */
enum ersatz_result card_probe(struct ersatz_error *error);

/* The settings that a device starts with. False, or too late: it runs, and with another value; to repeat the
 * one in force is no mistake, and changes nothing. */
enum card_answer { CARD_DONE, CARD_TOO_LATE, CARD_FAILED };

/* Change the configuration. `change` runs under the card's lock. */
bool card_configure(void (*change)(struct ersatz_config *config, unsigned value), unsigned value);

/* The same for settings that are more than a number of the card's shape; is_in_force(), under the lock, too,
 * says whether it is what the device runs with. */
bool card_configure_with(void (*change)(struct ersatz_config *config, const void *what),
    bool (*is_in_force)(const struct ersatz_config *config, const void *what), const void *what);

/* Model this card from now on; takes a copy. */
bool card_set_profile(const struct ersatz_profile *profile);

/* Take completions at ticks, and not as they arrive. */
bool card_set_timed(bool timed);

/* Whether the application polls; without the lock that card_config() takes. */
bool card_polls_externally(void);

/* A copy of the configuration: the running device's, or what one would start with. What no command has set is
 * the profile's, or the default. */
struct ersatz_config card_config(void);

/* Where the statistics go when the device stops; takes a copy. False: out of memory. */
bool card_set_stats_file(const char *path);

/* Whether the application is checked, and from when on it is wrong. False as above. */
bool card_set_check(bool check, uint32_t pause_ns);
bool card_set_check_limits(const struct ersatz_check_limits *limits);

/* What was found so far; NULL: nobody looks. */
const struct ersatz_findings *card_findings(void);

/* Trace the devices that start from now on; write the trace to this file when one stops (takes a copy). NULL:
 * leave it in the record. Fails where there is no memory. */
enum card_answer card_set_trace(const char *path);

/* Keep the record in a file of this directory. Where it fails *error says why. */
enum card_answer card_keep_record(const char *directory, struct ersatz_error *error);
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

/* Every setting as it is without a command. Not while the device runs. */
void card_set_defaults(void);

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
