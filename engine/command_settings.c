/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that set how the card is built and used. */
#include <stdio.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"
#include "driver/thresholds.h"

static void set_workers(struct ersatz_config *config, unsigned value)
{
    config->workers = value;
}

static void set_instances(struct ersatz_config *config, unsigned value)
{
    config->instances = value;
}

static void set_ring_depth(struct ersatz_config *config, unsigned value)
{
    config->ring_depth = value;
}

static void set_external_polling(struct ersatz_config *config, unsigned value)
{
    config->external_polling = value != 0;
}

static int configure(int command, void (*change)(struct ersatz_config *, unsigned), unsigned value)
{
    return card_configure(change, value) || command_too_late(command);
}

int command_workers(int command, long i, void *p)
{
    (void)p;
    return command_check_range(command, i, 1, ERSATZ_WORKERS_MAX) &&
           configure(command, set_workers, (unsigned)i);
}

int command_instances(int command, long i, void *p)
{
    (void)p;
    return command_check_range(command, i, 1, ERSATZ_INSTANCES_MAX) &&
           configure(command, set_instances, (unsigned)i);
}

int command_ring_depth(int command, long i, void *p)
{
    (void)p;
    if (i < 1 || i > (long)ERSATZ_RING_DEPTH_MAX || (i & (i - 1)) != 0) {
        error_raise(REASON_BAD_COMMAND, "RING_DEPTH is %ld; it must be a power of two from 1 to %u", i,
            ERSATZ_RING_DEPTH_MAX);
        return 0;
    }
    return configure(command, set_ring_depth, (unsigned)i);
}

int command_external_polling(int command, long i, void *p)
{
    (void)i;
    (void)p;
    return configure(command, set_external_polling, 1);
}

int command_fallback(int command, long i, void *p)
{
    (void)command;
    (void)i;
    (void)p;
    atomic_store(&card_policy()->fallback, true);
    return 1;
}

int command_offload(int command, long i, void *p)
{
    const char *value = p;

    (void)i;
    if (strcmp(value, "card") != 0 && strcmp(value, "fastest") != 0) {
        error_raise(
            REASON_BAD_COMMAND, "%s is \"%s\"; expected card or fastest", command_name(command), value);
        return 0;
    }
    atomic_store(&card_policy()->fastest, strcmp(value, "fastest") == 0);
    return 1;
}

int command_sync_offload(int command, long i, void *p)
{
    (void)p;
    if (!command_check_range(command, i, 0, 1))
        return 0;
    atomic_store(&card_policy()->sync_offload, i == 1);
    return 1;
}

int command_thresholds(int command, long i, void *p)
{
    (void)command;
    (void)i;
    return thresholds_parse(p);
}

int command_max_retries(int command, long i, void *p)
{
    (void)p;
    if (!command_check_range(command, i, -1, 100000))
        return 0;
    atomic_store(&card_policy()->max_retries, (int)i);
    return 1;
}

/* "portable, ipsec-mb": the names of a set of kernels. */
static const char *kernel_names(unsigned set, char *out, size_t size)
{
    size_t used = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++) {
        if ((set & 1u << kernel) != 0 && used < size)
            used += (size_t)snprintf(
                out + used, size - used, "%s%s", used == 0 ? "" : ", ", ersatz_kernel_name(kernel));
    }
    return out;
}

/* The kernel of this name. ERSATZ_KERNELS: there is none. */
static enum ersatz_kernel find_kernel(const char *name, size_t len)
{
    enum ersatz_kernel kernel = 0;

    while (kernel < ERSATZ_KERNELS &&
           (strlen(ersatz_kernel_name(kernel)) != len || strncmp(ersatz_kernel_name(kernel), name, len) != 0))
        kernel++;
    return kernel;
}

/* Whether one name of the list stands for a kernel that can be used; raises the error otherwise. */
static bool may_use(int command, enum ersatz_kernel kernel, const char *name, size_t len)
{
    unsigned available = ersatz_kernels_available();
    char names[64];

    if (kernel == ERSATZ_KERNELS) {
        error_raise(REASON_BAD_COMMAND, "%s has \"%.*s\" in it; expected auto, or a list of %s",
            command_name(command), (int)len, name, kernel_names(ERSATZ_KERNELS_ALL, names, sizeof(names)));
        return false;
    }
    if ((available & 1u << kernel) == 0) {
        error_raise(REASON_BAD_COMMAND,
            "%s: \"%.*s\" was not built in, or this processor does not run it; available: %s",
            command_name(command), (int)len, name, kernel_names(available, names, sizeof(names)));
        return false;
    }
    return true;
}

int command_kernels(int command, long i, void *p)
{
    const char *at = p;
    unsigned set = 0;

    (void)i;
    if (strcmp(p, "auto") == 0) {
        ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
        return 1;
    }
    for (;;) {
        size_t len = strcspn(at, ",");
        enum ersatz_kernel kernel = find_kernel(at, len);

        if (!may_use(command, kernel, at, len))
            return 0;
        set |= 1u << kernel;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    ersatz_kernels_choose(set);
    return 1;
}
