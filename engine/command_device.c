/* Commands to the running device. */
#include <limits.h>
#include <string.h>

#include "card.h"
#include "command_handlers.h"
#include "error.h"

struct ersatz_device *command_running_device(void)
{
    struct ersatz_device *device;
    struct ersatz_error error;

    if (card_device(&device, &error) != ERSATZ_OK) {
        error_raise(REASON_DEVICE, "%s", error.text);
        return NULL;
    }
    return device;
}

int command_init(int command, long i, void *p)
{
    struct ersatz_error error;

    (void)command;
    (void)i;
    (void)p;
    if (atomic_load(&card_policy()->fallback) && card_probe(&error) != ERSATZ_OK)
        return 1; /* there is no device to start, and the calling core will do */
    return command_running_device() != NULL;
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

int command_hold(int command, long i, void *p)
{
    static const struct {
        const char *name;
        enum ersatz_hold where;
    } places[] = {
        {"none", ERSATZ_HOLD_NONE}, {"compute", ERSATZ_HOLD_COMPUTE}, {"signal", ERSATZ_HOLD_SIGNAL}};
    struct ersatz_device *device;

    (void)i;
    for (unsigned n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
        if (strcmp(p, places[n].name) != 0)
            continue;
        device = command_running_device();
        if (device != NULL)
            ersatz_device_hold(device, places[n].where);
        return device != NULL;
    }
    error_raise(REASON_BAD_COMMAND, "%s is \"%s\"; expected none, compute or signal", command_name(command),
        (const char *)p);
    return 0;
}

int command_release(int command, long i, void *p)
{
    struct ersatz_device *device;

    (void)p;
    if (!command_check_range(command, i, 1, INT_MAX))
        return 0;
    device = command_running_device();
    if (device != NULL)
        ersatz_device_release(device, (unsigned)i);
    return device != NULL;
}
