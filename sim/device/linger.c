/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To wake a thread that sleeps on another core takes longer than many an operation: 5 to 40 microseconds
 * until it runs, and a good part of that is the time of the application's thread that rings. So a worker
 * looks out before it sleeps for about as long as a wake-up takes: at worst it wastes as much as it might
 * have saved.
 *
 * Two look out at most: one to take what comes next, and one to take what comes after it. They give their
 * core up at every look, to whoever wants it, and cost nothing once the card is idle.
 *
 * The same holds for the application's thread, which we cannot keep awake: with one RSA operation in flight
 * it sleeps while a worker computes, and a core where everybody sleeps takes 25 microseconds to come back,
 * in a virtual machine. But of two cores, the one where no worker computes is the one where it will go on. So
 * an idle worker gets up a little before the operation is expected to end, and looks out there. Of more
 * cores nobody could say which.
 */
#include "linger.h"

#include <sched.h>

#include "device.h"

#define LINGER_NS 50000
#define EARLY_NS 60000 /* for a timer, a wake-up, and operations that take a little less than expected */
#define LOOKOUTS_MAX 2u

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store(_Atomic uint64_t *value, uint64_t new)
{
    atomic_store_explicit(value, new, memory_order_relaxed);
}

static bool look_out(struct ersatz_device *device, uint64_t time)
{
    uint64_t end = clock_now() + time;

    do {
        if (device_has_work(device) || atomic_load(&device->stopping))
            return true;
        sched_yield();
    } while (clock_now() < end);
    return false;
}

bool linger(struct ersatz_device *device, bool early)
{
    struct lookout *state = &device->lookout;
    bool found = false;

    if (atomic_fetch_add_explicit(&state->workers, 1, memory_order_relaxed) < LOOKOUTS_MAX)
        found = look_out(device, early ? EARLY_NS + LINGER_NS : LINGER_NS);
    atomic_fetch_sub_explicit(&state->workers, 1, memory_order_relaxed);
    return found;
}

uint64_t linger_until(struct ersatz_device *device)
{
    /* One gets up, and no more. */
    uint64_t ends = atomic_exchange_explicit(&device->lookout.ends, 0, memory_order_relaxed);

    return ends > clock_now() + EARLY_NS ? ends - EARLY_NS : DOORBELL_NEVER;
}

uint64_t lone_op_started(struct ersatz_device *device, const struct ersatz_op *op)
{
    struct lookout *state = &device->lookout;
    uint64_t now;

    if (device->cores != 2 || device->timers != NULL || op->kind != ERSATZ_RSA_PRIVATE)
        return 0;
    if (atomic_load_explicit(&state->key_size, memory_order_relaxed) != ersatz_rsa_key_size(op->u.rsa.key)) {
        atomic_store_explicit(&state->key_size, ersatz_rsa_key_size(op->u.rsa.key), memory_order_relaxed);
        store(&state->shortest, 0);
    }
    now = clock_now();
    store(&state->ends, now + load(&state->shortest));
    return now;
}

void lone_op_done(struct ersatz_device *device, uint64_t begun)
{
    struct lookout *state = &device->lookout;
    uint64_t took, shortest = load(&state->shortest);

    if (begun == 0)
        return;
    /* Where the thread was interrupted it can only be too long: see sim/kernels/rsa_ifma_cost.c. */
    took = clock_now() - begun;
    store(&state->shortest, shortest == 0 || took < shortest ? took : shortest + (took - shortest) / 16);
}
