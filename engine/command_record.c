/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about what the card leaves behind: its files, its trace, its record. */
#include <string.h>

#include "command_handlers.h"
#include "driver/card.h"
#include "driver/error.h"

static int need_path(int command, const char *path, const char *what)
{
    if (path[0] != '\0')
        return 1;
    error_raise(REASON_BAD_COMMAND, "%s is empty; expected the path of a %s", command_name(command), what);
    return 0;
}

int command_stats_file(int command, long i, void *p)
{
    (void)i;
    if (!need_path(command, p, "file"))
        return 0;
    if (card_set_stats_file(p))
        return 1;
    error_raise(REASON_NO_MEMORY, "%s", command_name(command));
    return 0;
}

int command_trace(int command, long i, void *p)
{
    bool in_record = strcmp(p, "record") == 0;

    (void)i;
    if (!need_path(command, p, "file"))
        return 0;
    if (in_record && !card_has_record()) {
        error_raise(REASON_BAD_COMMAND,
            "%s:record without RECORD: it keeps the trace in the record, and in no file of its own; "
            "for a file of that name, ./record",
            command_name(command));
        return 0;
    }
    switch (card_set_trace(in_record ? NULL : p)) {
    case CARD_DONE:
        return 1;
    case CARD_TOO_LATE:
        return command_too_late(command);
    default:
        error_raise(REASON_NO_MEMORY, "%s", command_name(command));
        return 0;
    }
}

int command_record(int command, long i, void *p)
{
    struct ersatz_error error;

    (void)i;
    if (!need_path(command, p, "directory"))
        return 0;
    switch (card_keep_record(p, &error)) {
    case CARD_DONE:
        return 1;
    case CARD_TOO_LATE:
        return command_too_late(command);
    default:
        error_raise(REASON_BAD_COMMAND, "%s: %s", command_name(command), error.text);
        return 0;
    }
}
