/* SPDX-License-Identifier: Apache-2.0 */
/* See steering.h. */
#include "steering.h"

#include "ersatz/control_socket.h"
#include "ersatz/output.h"
#include "ersatz/undisturbed.h"

static struct {
    struct ersatz_lock lock; /* for the device: held while a command uses it, never for long */
    struct ersatz_device *device;
    struct ersatz_record *record;         /* written before the socket is made */
    ersatz_control_run *run;              /* the same; constant once the module is loaded */
    struct ersatz_control_socket *socket; /* under the card's lock */
} steering = {
    .lock = ERSATZ_LOCK_INITIALIZER,
};

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&steering.lock);
}

static void set_device(struct ersatz_device *device)
{
    struct ersatz_locked locked;

    ersatz_lock(&steering.lock, &locked);
    steering.device = device;
    ersatz_unlock(&locked);
}

bool steering_use(void (*use)(struct ersatz_device *device, void *arg), void *arg)
{
    struct ersatz_locked locked;
    bool runs;

    ersatz_lock(&steering.lock, &locked);
    runs = steering.device != NULL;
    if (runs)
        use(steering.device, arg);
    ersatz_unlock(&locked);
    return runs;
}

struct ersatz_record *steering_record(void)
{
    return steering.record;
}

void steering_set_run(ersatz_control_run *run)
{
    steering.run = run;
}

void steering_begin(struct ersatz_device *device, const char *path, struct ersatz_record *record)
{
    struct ersatz_error error;

    steering.record = record;
    set_device(device);
    steering.socket = ersatz_control_open(path, steering.run, &error);
    if (steering.socket == NULL)
        ersatz_say("CONTROL: %.900s; continuing without a control socket", error.text);
}

void steering_end(void)
{
    set_device(NULL);
    ersatz_control_close(steering.socket);
    steering.socket = NULL;
}

void steering_forget(void)
{
    ersatz_control_forget(steering.socket);
    steering.socket = NULL;
    steering.device = NULL;
}
