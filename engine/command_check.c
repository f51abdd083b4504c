/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the check of the application. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"
#include "driver/offload.h"

static const struct limit {
    const char *name;
    size_t offset;
    long min, max;
} limits[] = {
    {"answer", offsetof(struct ersatz_check_limits, answer_ms), 40, 3600000},
    {"callback", offsetof(struct ersatz_check_limits, callback_ms), 1, 3600000},
    {"early", offsetof(struct ersatz_check_limits, early), 1, 1000000000},
};

#define LIMITS (sizeof(limits) / sizeof(limits[0]))
#define EXPECTED "a list of answer=MILLISECONDS, callback=MILLISECONDS, early=TIMES"

int command_check(int command, long i, void *p)
{
    uint32_t pause_ns;

    (void)p;
    if (!command_check_range(command, i, 0, 1))
        return 0;
    pause_ns = i == 1 ? offload_measure_pause() : 0;
    return card_set_check(i == 1, pause_ns) || command_too_late(command);
}

static const struct limit *find_limit(const char *name, size_t len)
{
    for (size_t n = 0; n < LIMITS; n++) {
        if (strlen(limits[n].name) == len && strncmp(limits[n].name, name, len) == 0)
            return &limits[n];
    }
    return NULL;
}

/* One NAME=NUMBER of the list. False: an error is raised. */
static bool parse_one(int command, const char *item, struct ersatz_check_limits *to)
{
    const char *number = strchr(item, '=');
    const struct limit *limit = number == NULL ? NULL : find_limit(item, (size_t)(number - item));
    char *end;
    long value;

    if (limit == NULL) {
        error_raise(
            REASON_BAD_COMMAND, "%s has \"%s\" in it; expected " EXPECTED, command_name(command), item);
        return false;
    }
    errno = 0;
    value = strtol(++number, &end, 10);
    if (errno != 0 || end == number || *end != '\0' || value < limit->min || value > limit->max) {
        error_raise(REASON_BAD_COMMAND, "%s: %s is \"%s\"; expected a number from %ld to %ld",
            command_name(command), limit->name, number, limit->min, limit->max);
        return false;
    }
    *(uint32_t *)(void *)((char *)to + limit->offset) = (uint32_t)value;
    return true;
}

int command_check_limits(int command, long i, void *p)
{
    struct ersatz_check_limits new_limits;
    char *copy = strdup(p), *rest = copy, *item;
    bool ok = true;

    (void)i;
    if (copy == NULL) {
        error_raise(REASON_NO_MEMORY, "%s", command_name(command));
        return 0;
    }
    ersatz_check_limits_init(&new_limits);
    while (ok && (item = strsep(&rest, ",")) != NULL)
        ok = parse_one(command, item, &new_limits);
    free(copy);
    return ok && (card_set_check_limits(&new_limits) || command_too_late(command));
}
