/* Commands that set how the card is built and used. */
#include "card.h"
#include "command_handlers.h"
#include "error.h"
#include "thresholds.h"

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

int command_stats_file(int command, long i, void *p)
{
    const char *path = p;

    (void)i;
    if (path[0] == '\0') {
        error_raise(REASON_BAD_COMMAND, "STATS_FILE is empty; expected the path of a file");
        return 0;
    }
    if (card_set_stats_file(path))
        return 1;
    error_raise(REASON_NO_MEMORY, "%s", command_name(command));
    return 0;
}
