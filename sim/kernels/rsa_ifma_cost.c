/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a batch pays. That differs by a factor of four between processors (on some, libcrypto's own RSA uses
 * the same instructions for one key), so it is measured and not assumed.
 *
 * A measurement can only be too long: the thread may have been interrupted. So the shortest one counts, and
 * rises slowly towards what is measured, by a 16th of the difference, in case the machine has become slower.
 */
#include "rsa_ifma_cost.h"

static void learn(uint64_t *cost, uint64_t measured)
{
    if (*cost == 0 || measured < *cost)
        *cost = measured > 0 ? measured : 1;
    else
        *cost += (measured - *cost) / 16;
}

/* A kernel that is not chosen now is measured again after some hundred times. */
static void forget_a_little(uint64_t *cost)
{
    *cost -= *cost / 512;
}

unsigned rsa_ifma_cost_choose(struct rsa_ifma_cost *cost, unsigned count, unsigned to_a_pass)
{
    unsigned best = 0;
    uint64_t least = count * cost->portable;

    if (cost->portable == 0)
        return count - 1; /* one is done by itself, and shows what that costs */
    if (cost->pass == 0)
        return count > 1 ? count : 0;
    for (unsigned take = 1; take <= count; take++) {
        uint64_t total = (take + to_a_pass - 1) / to_a_pass * cost->pass + (count - take) * cost->portable;

        if (total < least) {
            least = total;
            best = take;
        }
    }
    if (best == 0)
        forget_a_little(&cost->pass);
    if (best == count)
        forget_a_little(&cost->portable);
    return best;
}

void rsa_ifma_cost_pass_took(struct rsa_ifma_cost *cost, uint64_t nanoseconds)
{
    learn(&cost->pass, nanoseconds);
}

void rsa_ifma_cost_portable_took(struct rsa_ifma_cost *cost, uint64_t nanoseconds)
{
    learn(&cost->portable, nanoseconds);
}
