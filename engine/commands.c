/* Control commands: their table, what each does, and the environment variable that carries them. */
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "error.h"
#include "ersatz/commands.h"
#include "thresholds.h"

enum command_number {
    COMMAND_FIRST = ENGINE_CMD_BASE - 1,
#define NUMBER_OF(name, takes, description) COMMAND_##name,
    ERSATZ_COMMANDS(NUMBER_OF)
#undef NUMBER_OF
};

#define FLAG_NOTHING ENGINE_CMD_FLAG_NO_INPUT
#define FLAG_NUMBER ENGINE_CMD_FLAG_NUMERIC
#define FLAG_STRING ENGINE_CMD_FLAG_STRING
#define FLAG_POINTER ENGINE_CMD_FLAG_NO_INPUT
#define FLAG_QUERY ENGINE_CMD_FLAG_NUMERIC

const ENGINE_CMD_DEFN command_definitions[] = {
#define DEFINITION_OF(name, takes, description) {COMMAND_##name, #name, description, FLAG_##takes},
    ERSATZ_COMMANDS(DEFINITION_OF)
#undef DEFINITION_OF
        {0, NULL, NULL, 0},
};

static const char *name_of(int command)
{
    return command_definitions[command - ENGINE_CMD_BASE].cmd_name;
}

/* ------------------------------------------------------------------------------------------------ settings
 */

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
    if (card_configure(change, value))
        return 1;
    error_raise(REASON_TOO_LATE,
        "%s must come before the first operation that goes to the card, and before INIT_ENGINE",
        name_of(command));
    return 0;
}

static int check_range(int command, long value, long min, long max)
{
    if (value >= min && value <= max)
        return 1;
    error_raise(
        REASON_BAD_COMMAND, "%s is %ld; it must be from %ld to %ld", name_of(command), value, min, max);
    return 0;
}

static int set_number(int command, void (*change)(struct ersatz_config *, unsigned), long value, long max)
{
    return check_range(command, value, 1, max) && configure(command, change, (unsigned)value);
}

static int set_depth(long value)
{
    if (!check_range(COMMAND_RING_DEPTH, value, 1, ERSATZ_RING_DEPTH_MAX))
        return 0;
    if ((value & (value - 1)) != 0) {
        error_raise(REASON_BAD_COMMAND, "RING_DEPTH is %ld; it must be a power of two from 1 to %u", value,
            ERSATZ_RING_DEPTH_MAX);
        return 0;
    }
    return configure(COMMAND_RING_DEPTH, set_ring_depth, (unsigned)value);
}

static int set_max_retries(long value)
{
    if (!check_range(COMMAND_SET_MAX_RETRY_COUNT, value, -1, 100000))
        return 0;
    atomic_store(&card_policy()->max_retries, (int)value);
    return 1;
}

static int set_sync_offload(long value)
{
    if (!check_range(COMMAND_SYNC_OFFLOAD, value, 0, 1))
        return 0;
    atomic_store(&card_policy()->sync_offload, value == 1);
    return 1;
}

static int set_stats_file(const char *path)
{
    if (path[0] == '\0') {
        error_raise(REASON_BAD_COMMAND, "STATS_FILE is empty; expected the path of a file");
        return 0;
    }
    if (card_set_stats_file(path))
        return 1;
    error_raise(REASON_NO_MEMORY, "STATS_FILE");
    return 0;
}

/* ------------------------------------------------------------------------------------------- running device
 */

static struct ersatz_device *running_device(void)
{
    struct ersatz_device *device;
    struct ersatz_error error;

    if (card_device(&device, &error) != ERSATZ_OK) {
        error_raise(REASON_DEVICE, "%s", error.text);
        return NULL;
    }
    return device;
}

static int init_engine(void)
{
    struct ersatz_error error;
    struct ersatz_device *device;

    if (atomic_load(&card_policy()->fallback) && card_probe(&error) != ERSATZ_OK)
        return 1; /* there is no device to start, and the calling core will do */
    device = running_device();
    return device != NULL;
}

static int poll_device(int *status)
{
    struct ersatz_device *device;

    if (!card_config().external_polling) {
        error_raise(REASON_BAD_COMMAND, "POLL without ENABLE_EXTERNAL_POLLING: the device polls by itself");
        return 0;
    }
    device = running_device();
    if (device != NULL)
        ersatz_device_poll(device);
    if (status != NULL)
        *status = device != NULL ? 0 : -1; /* as QAT_Engine: CPA_STATUS_SUCCESS, CPA_STATUS_FAIL */
    return device != NULL;
}

static int bind_thread(long instance)
{
    if (!check_range(COMMAND_SET_INSTANCE_FOR_THREAD, instance, 0, (long)card_config().instances - 1))
        return 0;
    ersatz_thread_bind((unsigned)instance);
    return init_engine();
}

static int hold(const char *where)
{
    static const struct {
        const char *name;
        enum ersatz_hold where;
    } places[] = {
        {"none", ERSATZ_HOLD_NONE}, {"compute", ERSATZ_HOLD_COMPUTE}, {"signal", ERSATZ_HOLD_SIGNAL}};
    struct ersatz_device *device;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(where, places[i].name) != 0)
            continue;
        device = running_device();
        if (device != NULL)
            ersatz_device_hold(device, places[i].where);
        return device != NULL;
    }
    error_raise(REASON_BAD_COMMAND, "HOLD is \"%s\"; expected none, compute or signal", where);
    return 0;
}

static int release(long count)
{
    struct ersatz_device *device;

    if (!check_range(COMMAND_RELEASE, count, 1, INT_MAX))
        return 0;
    device = running_device();
    if (device != NULL)
        ersatz_device_release(device, (unsigned)count);
    return device != NULL;
}

/* ------------------------------------------------------------------------------------------------- answers
 */

static int needs_pointer(int command)
{
    error_raise(REASON_BAD_COMMAND,
        "%s needs the address where the answer goes: call it with ENGINE_ctrl_cmd()", name_of(command));
    return 0;
}

static int get_in_flight(long kind, int **counter)
{
    if (!check_range(COMMAND_GET_NUM_REQUESTS_IN_FLIGHT, kind, 0, ERSATZ_FLIGHTS - 1))
        return 0;
    /* The interface is older than _Atomic; an aligned int is read whole on every machine we build for. */
    *counter = (int *)&card_stats()->in_flight[kind];
    return 1;
}

static int write_to_bio(BIO *bio)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    int ok = memory != NULL && ersatz_stats_write(card_stats(), memory);

    if (memory != NULL)
        fclose(memory);
    ok = ok && BIO_write(bio, text, (int)size) == (int)size;
    free(text);
    if (!ok)
        error_raise(REASON_OPERATION, "STATS could not be written");
    return ok;
}

static int write_statistics(BIO *bio)
{
    if (bio != NULL)
        return write_to_bio(bio);
    if (ersatz_stats_write(card_stats(), stdout))
        return 1;
    error_raise(REASON_OPERATION, "STATS could not be written to standard output");
    return 0;
}

int command_run(ENGINE *engine, int command, long i, void *p, void (*f)(void))
{
    (void)engine;
    (void)f;
    switch (command) {
    case COMMAND_WORKERS:
        return set_number(command, set_workers, i, ERSATZ_WORKERS_MAX);
    case COMMAND_INSTANCES:
        return set_number(command, set_instances, i, ERSATZ_INSTANCES_MAX);
    case COMMAND_RING_DEPTH:
        return set_depth(i);
    case COMMAND_ENABLE_EXTERNAL_POLLING:
        return configure(command, set_external_polling, 1);
    case COMMAND_POLL:
        return poll_device(p);
    case COMMAND_ENABLE_SW_FALLBACK:
        atomic_store(&card_policy()->fallback, true);
        return 1;
    case COMMAND_SYNC_OFFLOAD:
        return set_sync_offload(i);
    case COMMAND_SET_MAX_RETRY_COUNT:
        return set_max_retries(i);
    case COMMAND_SET_INSTANCE_FOR_THREAD:
        return bind_thread(i);
    case COMMAND_INIT_ENGINE:
        return init_engine();
    case COMMAND_STATS:
        return write_statistics(p);
    case COMMAND_RELEASE:
        return release(i);
    default:
        break;
    }
    if (command <= COMMAND_FIRST || command > COMMAND_RELEASE) {
        error_raise(REASON_BAD_COMMAND, "%d is no command of this engine", command);
        return 0;
    }
    if (p == NULL)
        return needs_pointer(command);
    switch (command) {
    case COMMAND_SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:
        return thresholds_parse(p);
    case COMMAND_STATS_FILE:
        return set_stats_file(p);
    case COMMAND_HOLD:
        return hold(p);
    case COMMAND_GET_NUM_OP_RETRIES:
        *(unsigned *)p = (unsigned)atomic_load(&card_stats()->retries);
        return 1;
    case COMMAND_GET_NUM_CRYPTO_INSTANCES:
        *(int *)p = (int)card_config().instances;
        return 1;
    default:
        return get_in_flight(i, p);
    }
}

/* --------------------------------------------------------------------------------------------- environment
 */

static const ENGINE_CMD_DEFN *find(const char *name)
{
    for (const ENGINE_CMD_DEFN *command = command_definitions; command->cmd_name != NULL; command++) {
        if (strcmp(command->cmd_name, name) == 0)
            return command;
    }
    return NULL;
}

static int run_text(const char *name, const char *value)
{
    const ENGINE_CMD_DEFN *command = find(name);
    bool takes_value = command != NULL && !(command->cmd_flags & ENGINE_CMD_FLAG_NO_INPUT);
    long number = 0;
    char *end;

    if (command == NULL) {
        error_raise(REASON_BAD_COMMAND,
            "ERSATZ_CTRL: \"%s\" is no command; openssl engine -vv ersatz lists them", name);
        return 0;
    }
    if (takes_value != (value != NULL)) {
        error_raise(REASON_BAD_COMMAND, "ERSATZ_CTRL: %s takes %s", name,
            takes_value ? "a value: NAME:VALUE" : "no value");
        return 0;
    }
    if (command->cmd_flags & ENGINE_CMD_FLAG_STRING)
        return command_run(NULL, (int)command->cmd_num, 0, (void *)value, NULL);
    if (value != NULL) {
        errno = 0;
        number = strtol(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0') {
            error_raise(REASON_BAD_COMMAND, "ERSATZ_CTRL: %s is \"%s\"; expected a number", name, value);
            return 0;
        }
    }
    return command_run(NULL, (int)command->cmd_num, number, NULL, NULL);
}

int commands_from_environment(void)
{
    const char *text = secure_getenv("ERSATZ_CTRL");
    char *copy, *rest, *item;
    int ok = 1;

    if (text == NULL)
        return 1;
    copy = rest = strdup(text);
    if (copy == NULL) {
        error_raise(REASON_NO_MEMORY, "ERSATZ_CTRL");
        return 0;
    }
    while (ok && (item = strsep(&rest, ";")) != NULL) {
        char *value = strchr(item, ':');

        if (item[0] == '\0')
            continue; /* a semicolon at the end */
        if (value != NULL)
            *value++ = '\0';
        ok = run_text(item, value);
    }
    free(copy);
    return ok;
}
