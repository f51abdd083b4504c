/* SPDX-License-Identifier: Apache-2.0 */
/* What threads of the application do with response rings: wait at them, poll them, make room on them. */
#include "base/fork.h"
#include "callback.h"
#include "device.h"
#include "reaper.h"

int ersatz_device_response_fd(struct ersatz_device *device, unsigned index)
{
    struct instance *instance;

    if (index >= device->config.instances)
        return -1;
    instance = &device->instances[index];
    instance_make_ring(instance, true);
    return instance_has_ring(instance) ? instance->responses.ring_fd : -1;
}

unsigned ersatz_device_poll(struct ersatz_device *device)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < device->config.instances; i++)
        taken += reaper_take(&device->instances[i]);
    return taken;
}

void ersatz_device_make_room(struct ersatz_device *device)
{
    if (device->generation != process_generation())
        return; /* a parent's: its rings are closed */
    for (unsigned i = 0; device->config.external_polling && i < device->config.instances; i++)
        reaper_park(&device->instances[i]);
    if (callback_runs_here(device))
        reaper_park_own();
}
