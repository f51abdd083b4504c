/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass of the batch kernel for private RSA operations computes four of them in the time of two, so a
 * worker that takes one or two at a time wastes half of its processor time. While cores are idle that harms
 * nobody, and the answer comes sooner. But in a busy server the application needs the same cores, and would
 * submit more requests if it had them.
 *
 * So a worker that finds less than a pass, and expects more, yields its core first. If nobody else wants the
 * core, the yield returns at once. If another thread ran meanwhile, the machine is crowded: then workers
 * gain nothing from working side by side. The worker takes a whole pass and leaves the others no share; and
 * if there still is less than a pass while another worker is awake, it naps, and leaves the requests to
 * that one.
 *
 * A nap is short, and there is one to a batch. So no request depends on another worker: at the latest after
 * the nap this worker takes it. A napping worker has no bit in `sleepers`, because nobody need wake it.
 */
#include "company.h"

#include "base/threads.h"
#include "device.h"
#include "kernels/compute.h"

#define NAP_NS 1000000

void company_init(struct company *company)
{
    *company = (struct company){.usual = COMPANY_UNIT};
}

static unsigned pass_of(struct ersatz_device *device)
{
    return atomic_load_explicit(&device->pass, memory_order_relaxed);
}

static bool is_part_of_a_pass(struct ersatz_device *device, size_t waiting)
{
    return waiting > 0 && waiting < pass_of(device);
}

/* A batch had more than one and a quarter of late, on average. */
static bool is_usual(const struct company *company)
{
    return company->usual > COMPANY_UNIT + COMPANY_UNIT / 4;
}

/* In long slices the worker does not interrupt the application for each operation. But if there is one at a
 * time, the application would wait for the core on which this worker looks for the next. */
static void choose_slices(struct company *company)
{
    bool long_ones = is_usual(company) || (company->in_long_slices && company->usual > COMPANY_UNIT);

    if (long_ones != company->in_long_slices)
        thread_ask_for_slices(long_ones);
    company->in_long_slices = long_ones;
}

/* Sequentially consistent: of several workers that want to nap or sleep, one sees that the others do. */
static bool nap(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    bool another_is_awake = atomic_fetch_add(&device->resting, 1) + 1 < device->config.workers;

    if (another_is_awake)
        poster_nap(&worker->poster, NAP_NS);
    atomic_fetch_sub(&device->resting, 1);
    return another_is_awake;
}

bool company_awaited(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    struct company *company = &worker->company;
    bool napped = company->napped;
    size_t waiting;

    company->crowded = company->napped = false;
    if (pass_of(device) == 0 || !device_has_work(device) || atomic_load(&device->stopping))
        return false;
    waiting = device_waiting(device, worker->turn, pass_of(device));
    if (!is_part_of_a_pass(device, waiting) || (waiting < 2 && !is_usual(company)))
        return false;
    company->crowded = thread_let_others_run();
    if (company->crowded && !napped &&
        is_part_of_a_pass(device, device_waiting(device, worker->turn, pass_of(device))))
        company->napped = nap(worker);
    return company->napped;
}

unsigned company_share(const struct worker *worker, unsigned share)
{
    unsigned pass = pass_of(worker->device);

    return worker->company.crowded && share > 0 && share < pass ? pass : share;
}

void company_came(struct worker *worker, const struct ersatz_op *first, unsigned count)
{
    struct company *company = &worker->company;
    unsigned pass = first->kind == ERSATZ_RSA_PRIVATE ? compute_lanes_for(first) : 0;

    if (pass_of(worker->device) != pass)
        atomic_store_explicit(&worker->device->pass, pass, memory_order_relaxed);
    company->usual -=
        (company->usual + COMPANY_UNIT - 1) / COMPANY_UNIT; /* at least 1, so it can fall to 1 */
    company->usual += count;
    choose_slices(company);
}
