/* SPDX-License-Identifier: Apache-2.0 */
/* See timing.h: units that are busy, a latency, jitter. */
#include "timing.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "device.h"
#include "ersatz/undisturbed.h"
#include "times.h"

/* Units of one kind: a heap of the times at which they are free. The first to be free is at 0; those at 2i +
 * 1 and 2i + 2 are free no sooner than that at i. */
struct units {
    unsigned count; /* 0: one is always free */
    uint64_t *free_at;
};

struct timing {
    struct ersatz_profile profile;
    uint64_t seed;
    struct ersatz_lock lock; /* what follows */
    struct units rsa, aes;   /* where the profile has units for everything, they are in rsa */
};

/* -------------------------------------------------------------------------------------------------- units */

static bool units_init(struct units *units, unsigned count)
{
    units->count = count;
    units->free_at = count == 0 ? NULL : calloc(count, sizeof(*units->free_at));
    return count == 0 || units->free_at != NULL;
}

/* Give an operation to the unit that is free first. Returns when the unit has served it. */
static uint64_t units_serve(struct units *units, uint64_t now, uint64_t service)
{
    uint64_t *free_at = units->free_at;
    uint64_t end;
    unsigned at = 0, next;

    if (units->count == 0)
        return now + service;
    end = (free_at[0] > now ? free_at[0] : now) + service;
    /* The unit moves to its new place in the heap. */
    for (; (next = 2 * at + 1) < units->count; at = next) {
        if (next + 1 < units->count && free_at[next + 1] < free_at[next])
            next++;
        if (free_at[next] >= end)
            break;
        free_at[at] = free_at[next];
    }
    free_at[at] = end;
    return end;
}

/* ------------------------------------------------------------------------------------------------- jitter */

/* Two random numbers for each request, which: 0 or 1; between 0 and 1, neither of them included. */
static double draw(uint64_t seed, uint64_t number, uint64_t which)
{
    uint64_t bits = random_nth(seed, 2 * number + which);

    return ((double)(bits >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
}

static uint64_t jitter(const struct ersatz_jitter *jitter, uint64_t seed, uint64_t number)
{
    double a = (double)jitter->a_ns, b = (double)jitter->b_ns, u = draw(seed, number, 0), ns = 0;

    switch (jitter->kind) {
    case ERSATZ_JITTER_NONE:
        break;
    case ERSATZ_JITTER_UNIFORM:
        ns = a + u * (b - a);
        break;
    case ERSATZ_JITTER_NORMAL: /* Box and Muller */
        ns = a + b * sqrt(-2 * log(u)) * cos(2 * M_PI * draw(seed, number, 1));
        break;
    case ERSATZ_JITTER_EXPONENTIAL:
        ns = -a * log(u);
        break;
    }
    return ns <= 0 ? 0 : (uint64_t)ns;
}

/* ------------------------------------------------------------------------------------------------- timing */

struct timing *timing_new(const struct ersatz_profile *profile, uint64_t seed)
{
    struct timing *timing = calloc(1, sizeof(*timing));
    bool shared = profile->units != 0;

    if (timing == NULL)
        return NULL;
    timing->profile = *profile;
    timing->seed = seed;
    ersatz_lock_renew(&timing->lock);
    if (!units_init(&timing->rsa, shared ? profile->units : profile->rsa_units) ||
        !units_init(&timing->aes, shared ? 0 : profile->aes_units)) {
        timing_free(timing);
        return NULL;
    }
    return timing;
}

void timing_free(struct timing *timing)
{
    if (timing == NULL)
        return;
    free(timing->rsa.free_at);
    free(timing->aes.free_at);
    free(timing);
}

static bool is_rsa(enum ersatz_request_name name)
{
    return name == ERSATZ_REQUEST_RSA_PRIV || name == ERSATZ_REQUEST_RSA_PUB;
}

uint64_t timing_due(struct timing *timing, enum ersatz_request_name name, uint64_t bits_or_bytes,
    uint64_t number, uint64_t now)
{
    const struct ersatz_profile *profile = &timing->profile;
    uint64_t service = ersatz_profile_service_ns(profile, name, bits_or_bytes);
    struct units *units = is_rsa(name) || profile->units != 0 ? &timing->rsa : &timing->aes;
    uint64_t end;
    struct ersatz_locked locked;

    ersatz_lock(&timing->lock, &locked);
    end = units_serve(units, now, service);
    ersatz_unlock(&locked);
    return end + profile->latency_ns + jitter(&profile->jitter, timing->seed, number);
}

void timing_accept(struct ersatz_request *request)
{
    const struct ersatz_op *op = &request->op;
    uint64_t size = op->kind == ERSATZ_CIPHER ? op->u.cipher.len : 8 * ersatz_rsa_key_size(op->u.rsa.key);

    request->accepted = clock_now();
    request->due = timing_due(
        request->device->timing, ersatz_op_name(op), size, request->times.number, request->accepted);
}

uint64_t timing_computed(struct ersatz_request *request)
{
    struct ersatz_stats *stats = device_stats(request->device);
    uint64_t now = clock_now(), due = 0;

    /* Each request of a group has its own time. The group is signalled once, with the last of them. */
    for (const struct ersatz_request *each = request; each != NULL; each = each->group_next)
        due = each->due > due ? each->due : due;
    request->due = due;
    if (now <= due)
        return due;
    ersatz_count(&stats->profile_late, 1);
    ersatz_count_max(&stats->profile_late_max_ns, now - due);
    return due;
}

void timing_told(const struct ersatz_request *request)
{
    struct ersatz_stats *stats = device_stats(request->device);

    ersatz_count(&stats->profile_told, 1);
    ersatz_count(&stats->profile_asked_ns, request->due - request->accepted);
    ersatz_count(&stats->profile_reached_ns, clock_now() - request->accepted);
}
