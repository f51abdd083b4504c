/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about polling: who takes completions off the response rings, and when. */
#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"

static int need_external_polling(int command)
{
    if (card_polls_externally())
        return 1;
    error_raise(REASON_BAD_COMMAND, "%s without ENABLE_EXTERNAL_POLLING: the device polls by itself",
        command_name(command));
    return 0;
}

int command_poll(int command, long i, void *p)
{
    struct ersatz_device *device;
    struct ersatz_error error;
    int *status = p;

    (void)i;
    if (!need_external_polling(command))
        return 0;
    if (card_hold(&device, false, &error) == ERSATZ_OK) {
        ersatz_device_poll(device); /* with the application's callbacks: not by command_with_device() */
        card_release_held();
    } else {
        error_raise(REASON_DEVICE, "%s: %s", command_name(command), error.text);
    }
    if (status != NULL)
        *status = device != NULL ? 0 : -1; /* as QAT_Engine: CPA_STATUS_SUCCESS, CPA_STATUS_FAIL */
    return device != NULL;
}

int command_event_driven(int command, long i, void *p)
{
    (void)i;
    (void)p;
    return card_set_timed(command == COMMAND_DISABLE_EVENT_DRIVEN_POLLING_MODE) || command_too_late(command);
}

int command_poll_interval(int command, long i, void *p)
{
    (void)p;
    if (!command_check_range(command, i, 1, 10000000))
        return 0;
    atomic_store(&card_polling()->interval_ns, (uint32_t)i);
    return 1;
}

int command_epoll_timeout(int command, long i, void *p)
{
    (void)p;
    if (!command_check_range(command, i, 1, 10000))
        return 0;
    atomic_store(&card_polling()->timeout_ms, (int)i);
    return 1;
}

int command_inline_polling(int command, long i, void *p)
{
    (void)command;
    (void)i;
    (void)p;
    atomic_store(&card_policy()->spin, true);
    return 1;
}

/* The counters are always there to be read; the command only checks what that engine's manual asks for. */
int command_heuristic_polling(int command, long i, void *p)
{
    (void)i;
    (void)p;
    return need_external_polling(command);
}

static void answer_fd(struct ersatz_device *device, long instance, void *p)
{
    *(int *)p = ersatz_device_response_fd(device, (unsigned)instance);
}

int command_polling_fd(int command, long i, void *p)
{
    if (!need_external_polling(command) ||
        !command_check_range(command, i, 0, (long)card_config().instances - 1))
        return 0;
    if (atomic_load(&card_polling()->timed)) {
        error_raise(REASON_BAD_COMMAND, "%s after DISABLE_EVENT_DRIVEN_POLLING_MODE", command_name(command));
        return 0;
    }
    if (!command_with_device(command, false, answer_fd, i, p))
        return 0;
    if (*(int *)p >= 0)
        return 1;
    error_raise(REASON_DEVICE,
        "%s: no descriptor (ulimit -n), no thread or no locked memory (ulimit -l) for a response ring",
        command_name(command));
    return 0;
}

static void answer_running(struct ersatz_device *device, long i, void *p)
{
    (void)i;
    *(int *)p = ersatz_device_is_running(device) ? 0 : -1;
}

int command_heartbeat(int command, long i, void *p)
{
    if (!need_external_polling(command))
        return 0;
    *(int *)p = -1;
    return command_with_device(command, false, answer_running, i, p);
}
