/* SPDX-License-Identifier: Apache-2.0 */
/* See door.h. */
#include "door.h"

#include <stdatomic.h>

#include "card.h"
#include "commands.h"
#include "error.h"
#include "ersatz/undisturbed.h"
#include "rsa.h"

static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER;
static unsigned doors; /* that are open; under the lock */

/* It cannot be held across a fork: its holder may be joining the thread that forks, in a callback. */
__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

static bool configure_from_environment(void)
{
    struct ersatz_error error;

    if (commands_from_environment(&error))
        return true;
    error_raise_error(&error);
    return false;
}

static bool set_up(bool (*configure)(void *arg), void *arg)
{
    if (!card_set_up()) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return false;
    }
    if (!rsa_method_create())
        return false;
    if (doors == 0)
        commands_reset(); /* else the settings are those of a card that others use */
    if ((configure == NULL || configure(arg)) && (doors > 0 || configure_from_environment()))
        return true;
    if (doors == 0)
        card_stop(); /* a command may have started it */
    return false;
}

bool door_open(bool (*configure)(void *arg), void *arg)
{
    struct ersatz_locked locked;
    bool opened;

    error_load();
    ersatz_lock(&lock, &locked);
    opened = set_up(configure, arg);
    if (opened)
        doors++;
    else if (doors == 0)
        rsa_method_destroy();
    ersatz_unlock(&locked);
    return opened;
}

void door_close(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&lock, &locked);
    if (--doors == 0) {
        card_stop();
        rsa_method_destroy();
    }
    ersatz_unlock(&locked);
}

bool door_has_card(void)
{
    struct ersatz_error error;

    if (atomic_load(&card_policy()->fallback) || card_probe(&error) == ERSATZ_OK)
        return true;
    error_raise(REASON_DEVICE, "%s; or set ENABLE_SW_FALLBACK to compute on the calling core", error.text);
    return false;
}

void door_refuse_libcrypto(void)
{
    error_raise(REASON_DEVICE,
        "the application has a libcrypto of its own (of another version, linked in statically, or a second "
        "one in its process), not the shared one of OpenSSL %s that this module uses; link it with that, or "
        "build ersatz for the application's OpenSSL",
        OpenSSL_version(OPENSSL_VERSION_STRING));
}
