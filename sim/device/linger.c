/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To wake a thread that sleeps on another core takes longer than many an operation: 5 to 40 microseconds
 * until it runs, and a good part of that is the time of the thread that wakes it, which is the application's.
 * So a worker looks for work, before it sleeps, for about as long as a wake-up takes: it wastes at most about
 * as much as it might have saved.
 *
 * Two workers do so at a time: one takes the next request, and one the request after that. They yield their
 * core at every look. An idle card uses no processor time.
 *
 * In a server that is not busy, the next request mostly comes much later, and the looks would be a twentieth
 * of its processor time. So a worker that has looked in vain several times in a row sleeps at once, until it
 * is woken so soon that looks would have found the request. Where it wakes early, it always looks.
 *
 * The application's thread has the same trouble, and we cannot keep it awake: with one RSA operation in
 * flight it sleeps while a worker computes, and a core on which every thread sleeps takes 25 microseconds to
 * wake up, in a virtual machine. But of two cores, the one without that worker is the one on which the
 * application will go on. So the other worker wakes a little before the operation is expected to end, and
 * looks for work there. With more cores nobody could say which one it will be.
 *
 * Waking early is worth 8 % of the rate of a lone job's RSA-2048 signatures, for 14 % more processor time
 * (EPYC, Zen 4, two cores). Without it that rate was below 0.9 of plain OpenSSL's.
 */
#include "linger.h"

#include <sched.h>

#include "device.h"

#define LINGER_NS 50000
#define EARLY_NS 60000 /* for a timer, a wake-up, and operations that take a little less than expected */
#define LINGERERS_MAX 2u
#define IN_VAIN_MAX 8u
#define SHORT_SLEEP_NS (2 * LINGER_NS) /* the wake-up is a part of it */

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store(_Atomic uint64_t *value, uint64_t new)
{
    atomic_store_explicit(value, new, memory_order_relaxed);
}

static bool look_for_work(struct ersatz_device *device, uint64_t ns)
{
    uint64_t end = clock_now() + ns;

    do {
        if (device_has_work(device) || atomic_load(&device->stopping))
            return true;
        sched_yield();
    } while (clock_now() < end);
    return false;
}

bool linger(struct ersatz_device *device, struct lingerer *lingerer)
{
    struct lingering *state = &device->lingering;
    bool woke_early = lingerer->woke_early, looks, found = false;

    if (!woke_early && lingerer->in_vain >= IN_VAIN_MAX)
        return false;
    looks = atomic_fetch_add_explicit(&state->workers, 1, memory_order_relaxed) < LINGERERS_MAX;
    if (looks)
        found = look_for_work(device, woke_early ? EARLY_NS + LINGER_NS : LINGER_NS);
    atomic_fetch_sub_explicit(&state->workers, 1, memory_order_relaxed);
    if (found)
        lingerer->in_vain = 0;
    else if (looks && !woke_early)
        lingerer->in_vain++;
    return found;
}

void linger_slept(struct lingerer *lingerer, uint64_t until, uint64_t ns)
{
    lingerer->woke_early = until != DOORBELL_NEVER;
    if (lingerer->woke_early || ns < SHORT_SLEEP_NS)
        lingerer->in_vain = 0;
}

uint64_t linger_sleep_until(struct ersatz_device *device)
{
    /* One worker wakes early, and no more. */
    uint64_t end = atomic_exchange_explicit(&device->lingering.lone_op_end, 0, memory_order_relaxed);

    return end > clock_now() + EARLY_NS ? end - EARLY_NS : DOORBELL_NEVER;
}

uint64_t lone_op_started(struct ersatz_device *device, const struct ersatz_op *op)
{
    struct lingering *state = &device->lingering;
    size_t size;
    uint64_t now;

    if (device->cores != 2 || device->timers != NULL || op->kind != ERSATZ_RSA_PRIVATE)
        return 0;
    size = ersatz_rsa_key_size(op->u.rsa.key);
    if (atomic_load_explicit(&state->lone_op_size, memory_order_relaxed) != size) {
        atomic_store_explicit(&state->lone_op_size, size, memory_order_relaxed);
        store(&state->lone_op_ns, 0);
    }
    now = clock_now();
    store(&state->lone_op_end, now + load(&state->lone_op_ns));
    return now;
}

void lone_op_done(struct ersatz_device *device, uint64_t start)
{
    struct lingering *state = &device->lingering;
    uint64_t took, expected = load(&state->lone_op_ns);

    if (start == 0)
        return;
    /* A thread that is interrupted takes longer, so the shortest time counts: see
     * sim/kernels/rsa_ifma_cost.c. */
    took = clock_now() - start;
    store(&state->lone_op_ns, expected == 0 || took < expected ? took : expected + (took - expected) / 16);
}
