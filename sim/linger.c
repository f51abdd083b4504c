/*
 * To wake a thread that sleeps on another core takes longer than many an operation: 5 to 40 microseconds
 * until it runs, and a good part of that is the time of the application's thread that rings. So a worker
 * looks out before it sleeps for about as long as a wake-up takes: at worst it wastes as much as it might
 * have saved.
 *
 * Two look out at most: one to take what comes next, and one to take what comes after it. They give their
 * core up at every look, to whoever wants it, and cost nothing once the card is idle.
 */
#include "linger.h"

#include <sched.h>

#include "device.h"

#define LINGER_NS 50000
#define LOOKOUTS_MAX 2u

static bool look_out(struct ersatz_device *device)
{
    uint64_t end = life_now() + LINGER_NS;

    do {
        if (device_has_work(device) || atomic_load(&device->stopping))
            return true;
        sched_yield();
    } while (life_now() < end);
    return false;
}

bool linger(struct ersatz_device *device)
{
    bool found = false;

    /* Relaxed: orders nothing. */
    if (atomic_fetch_add_explicit(&device->lookouts, 1, memory_order_relaxed) < LOOKOUTS_MAX)
        found = look_out(device);
    atomic_fetch_sub_explicit(&device->lookouts, 1, memory_order_relaxed);
    return found;
}
