/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to the running device. */
#include <limits.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"
#include "ersatz/undisturbed.h"

int command_with_device(
    int command, bool anew, void (*use)(struct ersatz_device *device, long i, void *p), long i, void *p)
{
    struct ersatz_undisturbed before;
    struct ersatz_device *device;
    struct ersatz_error error;
    enum ersatz_result result;

    ersatz_undisturbed_begin(&before);
    result = card_hold(&device, anew, &error);
    if (result == ERSATZ_OK) {
        use(device, i, p);
        card_release_held();
    }
    ersatz_undisturbed_end(&before);
    if (result != ERSATZ_OK)
        error_raise(REASON_DEVICE, "%s: %s", command_name(command), error.text);
    return result == ERSATZ_OK;
}

static void no_use(struct ersatz_device *device, long i, void *p)
{
    (void)device;
    (void)i;
    (void)p;
}

int command_init(int command, long i, void *p)
{
    struct ersatz_error error;

    if (atomic_load(&card_policy()->fallback) && card_probe(&error) != ERSATZ_OK)
        return 1; /* there is no device to start, and the calling core will do */
    return command_with_device(command, true, no_use, i, p);
}

int command_init_after_fork(int command, long i, void *p)
{
    (void)p;
    if (!command_check_range(command, i, 0, 1))
        return 0;
    atomic_store(&card_policy()->after_fork, i == 1);
    return 1;
}

int command_bind_thread(int command, long i, void *p)
{
    if (!command_check_range(command, i, 0, LONG_MAX))
        return 0;
    ersatz_thread_bind((unsigned)(i % (long)card_config().instances)); /* as in QAT_Engine */
    return command_init(command, i, p);
}

static void hold(struct ersatz_device *device, long where, void *p)
{
    (void)p;
    ersatz_device_hold(device, (enum ersatz_hold)where);
}

int command_hold(int command, long i, void *p)
{
    static const struct {
        const char *name;
        enum ersatz_hold where;
    } places[] = {
        {"none", ERSATZ_HOLD_NONE}, {"compute", ERSATZ_HOLD_COMPUTE}, {"signal", ERSATZ_HOLD_SIGNAL}};

    (void)i;
    for (unsigned n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
        if (strcmp(p, places[n].name) == 0)
            return command_with_device(command, false, hold, (long)places[n].where, NULL);
    }
    error_raise(REASON_BAD_COMMAND, "%s is \"%s\"; expected none, compute or signal", command_name(command),
        (const char *)p);
    return 0;
}

static void release(struct ersatz_device *device, long count, void *p)
{
    (void)p;
    ersatz_device_release(device, (unsigned)count);
}

int command_release(int command, long i, void *p)
{
    return command_check_range(command, i, 1, INT_MAX) && command_with_device(command, false, release, i, p);
}
