/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the card share: its state, and how its settings become the configuration of a device. */
#ifndef ERSATZ_DRIVER_CARD_INSIDE_H
#define ERSATZ_DRIVER_CARD_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "card.h"
#include "ersatz/record.h"
#include "ersatz/undisturbed.h"
#include "report.h"

/*
 * The users of the card, counted in one word: each functional reference is a USER, each running command a
 * HOLD. GIVEN_BACK is set when the last functional reference is dropped, and cleared by the next one.
 * Meanwhile the card stops as soon as no command uses it, and no command starts it.
 */
#define HOLD UINT64_C(1)
#define GIVEN_BACK (UINT64_C(1) << 31)
#define USER (UINT64_C(1) << 32)

struct card {
    /* Held to start the device, to configure it, and to take it out before it is stopped; and across fork(),
     * so that the child finds all of this whole. A thread that holds it never waits for one that may run code
     * of the application. */
    struct ersatz_lock lock;
    /* NULL or running. Stored with release when it has started, loaded with acquire by its users. */
    struct ersatz_device *_Atomic device;
    _Atomic uint64_t uses;           /* sequentially consistent: stop_if_unused() */
    struct ersatz_device *inherited; /* the parent's, not used; kept here so that leak checkers find it */
    struct ersatz_error refused;     /* result NO_URING: Linux refuses io_uring, and will do so again */
    struct card_settings settings;   /* sizes are 0 where no command set them: see card_resolve() */
    bool traced;
    struct report report;
    struct ersatz_profile *_Atomic next_profile; /* by card_set_next_profile(), until a device starts */
    _Atomic bool exiting;                        /* no device is started any more, */
    _Atomic bool confined;                       /* nor in a sandbox */
    _Atomic bool cleaned;                        /* libcrypto cleans up, or has done so */
    _Atomic bool ending;                         /* exit(3) runs, */
    pthread_t ender;                             /* in this thread; written before `ending` */
    struct card_policy policy;
    _Atomic bool external;            /* settings.external_polling, for readers without the lock */
    bool keeps_in_flight;             /* for good, since somebody has the address: under the lock */
    struct ersatz_record_place place; /* of the record; set once, before anything uses the card */
};

extern struct card card;

/* Fill in the sizes that no command set: the profile's, whichever was given first, else the defaults. */
void card_resolve(struct card_settings *settings);

/* The configuration of a device with these settings, which it points to. Under the card's lock. */
struct ersatz_config card_configuration(const struct card_settings *settings);

/* The profile of card_set_next_profile(), if there is one, becomes a setting. Under the card's lock. */
void card_take_next_profile(void);

#endif
